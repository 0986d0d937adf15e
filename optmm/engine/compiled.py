"""How the engine's inner functions are compiled: unchecked, cached, without a door from Python.

A wrapper that unpacks the state for Python costs more compiling than most functions; only what
Python calls has one. `inlined` is for what runs once per event or per message, where passing eleven
tables on would cost more than the work. No fastmath: one ulp decides where a quote is rounded to.
"""

import numba as nb

import surfaces.kernels  # noqa: F401  decides numba's cache folder before anything is decorated

inner = nb.njit(cache=True, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)
inlined = nb.njit(
    cache=True,
    error_model="numpy",
    forceinline=True,
    no_cpython_wrapper=True,
    no_cfunc_wrapper=True,
)
