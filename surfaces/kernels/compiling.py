"""How inner kernels are compiled: their options, and two things numba's Python has no word for.

`keep_apart()` as the first line of a kernel keeps it out of its callers. Inlined again at every
level, a solver of forty small functions takes twice as long to compile.
`fma(a, b, c)` is a b + c rounded once, wherever it stands. Left to the compiler ("contract"), a sum
is fused in one copy of a function and not in another, and the last bit depends on which copy runs.
"""

import numba as nb
from numba.extending import intrinsic

import surfaces.kernels  # noqa: F401  sets numba's cache folder before anything is decorated

# Called from other kernels only (from Python they crash: there is no wrapper), and allocating
# nothing, so that no references need counting. A function that allocates needs `ALLOCATES` instead.
INNER = {
    "cache": True,
    "error_model": "numpy",
    "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
    "_nrt": False,
}
ALLOCATES = {**INNER, "_nrt": True}
OUTER = {"cache": True, "error_model": "numpy", "no_cfunc_wrapper": True}

if nb.config.DISABLE_JIT:

    def keep_apart():
        """Nothing, where nothing is compiled."""

    def fma(a, b, c):
        """a b + c, rounded twice where nothing is compiled."""
        return a * b + c

else:

    @intrinsic
    def keep_apart(typing_context):
        """Keep the function that says this out of its callers."""

        def code(context, builder, signature, args):
            builder.function.attributes.add("noinline")
            return context.get_dummy_value()

        return nb.types.void(), code

    @intrinsic
    def fma(typing_context, a, b, c):
        """a b + c, rounded once."""

        def code(context, builder, signature, args):
            return builder.fma(*args)

        return nb.float64(nb.float64, nb.float64, nb.float64), code
