"""Argument checks that return what they checked, so a wrapper reads as one list."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from surfaces.errors import InvalidInput

Floats = NDArray[np.float64]

_RIGHTS = {"c": 1.0, "call": 1.0, "p": -1.0, "put": -1.0}


def numbers(name: str, values: ArrayLike) -> Floats:
    """Return `values` as float64 of any shape; NaN and infinities pass, text does not."""
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise InvalidInput(f"{name} is {values!r:.80}, must be a number or numbers") from None


def at_least(name: str, values: ArrayLike, low: float, *, unit: str, hint: str) -> Floats:
    """Return `values` as float64, or raise naming the first that is not finite and >= low."""
    out = numbers(name, values)
    bad = ~((out >= low) & (out < np.inf))  # the negation also catches NaN
    if bad.any():
        _refuse(name, out, bad, f"{low:g}", ">=", unit, hint)
    return out


def above(name: str, values: ArrayLike, low: float, *, unit: str, hint: str) -> Floats:
    """Return `values` as float64, or raise naming the first that is not finite and > low."""
    out = numbers(name, values)
    bad = ~((out > low) & (out < np.inf))
    if bad.any():
        _refuse(name, out, bad, f"{low:g}", ">", unit, hint)
    return out


def finite(name: str, values: ArrayLike, *, unit: str, hint: str) -> Floats:
    """Return `values` as float64, or raise naming the first NaN or infinity."""
    out = numbers(name, values)
    bad = ~np.isfinite(out)
    if bad.any():
        _refuse(name, out, bad, "finite", "", unit, hint)
    return out


def right(values: ArrayLike, name: str = "right") -> Floats:
    """Return +1.0 for calls and -1.0 for puts, or raise: an unknown right never means put.

    Accepts +1 and -1 (any numeric type), "c", "p", "call" and "put" in any case.
    """
    raw = np.asarray(values)
    if raw.dtype.kind in "iuf":
        out = raw.astype(np.float64)
        bad = np.abs(out) != 1.0
    else:
        codes = [_right_of(v) for v in raw.ravel().tolist()]
        out = np.array(codes, np.float64).reshape(raw.shape)
        bad = out == 0.0
    if bad.any():
        first = int(np.argmax(bad))
        where = np.unravel_index(first, raw.shape)
        raise InvalidInput(
            f"{name}{_at(where)} is {raw.ravel().tolist()[first]!r}, must be +1 or 'c' for a "
            f"call, -1 or 'p' for a put ({int(bad.sum())} of {raw.size} fail). "
            "Map other codes before pricing."
        )
    return out


def columns(*arrays: Floats) -> tuple[tuple[int, ...], list[Floats]]:
    """Broadcast together; return the shape and one contiguous, writable 1-D array for each.

    Kernels are compiled for exactly this layout: a read-only or strided array would compile a
    second copy of every kernel.
    """
    try:
        shape = np.broadcast_shapes(*(a.shape for a in arrays))
    except ValueError:
        shapes = ", ".join(str(a.shape) for a in arrays)
        raise InvalidInput(f"arguments of shapes {shapes} do not broadcast together") from None
    size = int(np.prod(shape, dtype=np.int64))
    out = []
    for a in arrays:
        if a.shape == shape and a.flags.c_contiguous and a.flags.writeable and a.flags.aligned:
            out.append(a.reshape(size))
        else:
            full = np.empty(shape)
            full[...] = a
            out.append(full.reshape(size))
    return shape, out


def _right_of(value: object) -> float:
    """+1.0, -1.0, or 0.0 for a code that is neither."""
    if isinstance(value, bytes):
        value = value.decode("ascii", "replace")
    if isinstance(value, str):
        return _RIGHTS.get(value.strip().lower(), 0.0)
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) == 1:
        return float(value)
    return 0.0


def _at(where: tuple) -> str:
    """`[2, 0]` for an element, nothing for a scalar."""
    return f"[{', '.join(map(str, where))}]" if where else ""


def _refuse(
    name: str, out: Floats, bad: NDArray[np.bool_], bound: str, sign: str, unit: str, hint: str
) -> None:
    where = np.unravel_index(int(np.argmax(bad)), out.shape)
    must = f"{sign} {bound}".strip()
    if np.isposinf(out[where]) and sign:
        must = f"finite and {must}"
    value = f"{out[where]:g} {unit}".strip()
    raise InvalidInput(
        f"{name}{_at(where)} is {value}, must be {must} "
        f"({int(bad.sum())} of {out.size} fail). {hint}"
    )
