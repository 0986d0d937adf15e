"""Argument checks that return what they checked, so a wrapper reads as one list."""

import datetime as dt
import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from surfaces.errors import InvalidInput

Floats = NDArray[np.float64]

_NOT_NUMBERS = (str, bytes, bool, complex, dt.date, dt.timedelta, np.datetime64, np.timedelta64)
_WORDS = {"c": 1.0, "call": 1.0, "p": -1.0, "put": -1.0}
_RIGHTS: dict[str | bytes, float] = {
    spelled: sign
    for word, sign in _WORDS.items()
    for text in (word, word.upper(), word.title())
    for spelled in (text, text.encode())
}


def numbers(name: str, values: ArrayLike) -> Floats:
    """Return `values` as float64 of any shape; NaN and infinities pass, what is no number does not.

    A missing value (None, a frame's null, a masked element) is NaN. Text, dates, booleans and
    complex numbers raise: a date priced as a count of nanoseconds would look like a price.
    """
    if isinstance(values, np.ma.MaskedArray):
        values = np.ma.filled(values.astype(np.float64), np.nan)
    try:
        raw = np.asarray(values)
        if raw.dtype.kind in "iuf":
            return raw.astype(np.float64, copy=False)
        if raw.dtype.kind == "O" and not any(isinstance(v, _NOT_NUMBERS) for v in raw.flat):
            return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        pass
    said = " ".join(f"{values!r:.160}".split())
    raise InvalidInput(f"{name} is {said:.80}, must be a number or numbers")


def at_least(name: str, values: ArrayLike, low: float, *, unit: str, hint: str) -> Floats:
    """Return `values` as float64, or raise naming the first that is not finite and >= low."""
    out = numbers(name, values)
    if out.size and not (out.min() >= low and out.max() < np.inf):  # true for NaN as well
        _refuse(name, out, ~((out >= low) & (out < np.inf)), f"{low:g}", ">=", unit, hint)
    return out


def above(name: str, values: ArrayLike, low: float, *, unit: str, hint: str) -> Floats:
    """Return `values` as float64, or raise naming the first that is not finite and > low."""
    out = numbers(name, values)
    if out.size and not (out.min() > low and out.max() < np.inf):
        _refuse(name, out, ~((out > low) & (out < np.inf)), f"{low:g}", ">", unit, hint)
    return out


def finite(name: str, values: ArrayLike, *, unit: str, hint: str) -> Floats:
    """Return `values` as float64, or raise naming the first NaN or infinity."""
    out = numbers(name, values)
    if out.size and not (out.min() > -np.inf and out.max() < np.inf):
        _refuse(name, out, ~np.isfinite(out), "finite", "", unit, hint)
    return out


def one(name: str, value: Floats) -> float:
    """Return the only number in `value`, or raise naming its shape."""
    if value.ndim:
        raise InvalidInput(f"{name} has shape {value.shape}, must be one number")
    return float(value)


def count(name: str, value: object, least: int, *, hint: str) -> int:
    """Return `value` as int, or raise unless it is a whole number >= least."""
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not whole or int(value) < least:  # type: ignore[call-overload]
        said = " ".join(repr(value).split())
        raise InvalidInput(f"{name} is {said:.80}, must be a whole number >= {least}. {hint}")
    return int(value)  # type: ignore[call-overload]


def flags(name: str, values: ArrayLike) -> NDArray[np.bool_]:
    """Return `values` as booleans, 0 and 1 too, or raise: row numbers are not read as truths."""
    raw = np.asarray(values)
    if raw.dtype.kind == "b":
        return raw
    try:
        out = raw.astype(np.float64)
    except (TypeError, ValueError):
        out = np.full(raw.shape, np.nan)
    bad = ~((out == 0.0) | (out == 1.0))
    if bad.any():
        where = np.unravel_index(int(np.argmax(bad)), raw.shape)
        raise InvalidInput(
            f"{name}{_at(where)} is {raw[where]!s:.40}, must be True or False "
            f"({int(bad.sum())} of {raw.size} fail). Give one flag a row, not row numbers."
        )
    return out == 1.0


def kind(name: str, value: object, wanted: type, *, hint: str, called: str = "") -> None:
    """Raise unless `value` is a `wanted`, `called` so where its own name does not tell which."""
    if not isinstance(value, wanted):
        said = " ".join(repr(value).split())
        raise InvalidInput(f"{name} is {said:.80}, must be a {called or wanted.__name__}. {hint}")


def right(values: ArrayLike, name: str = "right") -> Floats:
    """Return +1.0 for calls and -1.0 for puts, or raise: an unknown right never means put.

    Accepts +1 and -1 of any numeric type, True for a call and False for a put, and "c", "p",
    "call" and "put" in any case.
    """
    out = signs(values, name)
    if not np.all(np.abs(out) == 1.0):
        raw = np.asarray(values)
        bad = np.abs(out) != 1.0
        first = int(np.argmax(bad))
        where = np.unravel_index(first, raw.shape)
        raise InvalidInput(
            f"{name}{_at(where)} is {raw.ravel().tolist()[first]!r}, must be +1 or 'c' for a "
            f"call, -1 or 'p' for a put ({int(bad.sum())} of {raw.size} fail). "
            "Map other codes before pricing."
        )
    return out


def signs(values: ArrayLike, name: str = "right") -> Floats:
    """Rights as numbers: +1.0 and -1.0, and something else where `right` would raise.

    For kernels that look at each right anyway; words and booleans are translated here once.
    """
    if isinstance(values, np.ma.MaskedArray):
        values = np.ma.filled(values.astype(object), None)
    try:
        raw = np.asarray(values)
    except ValueError:  # a ragged list
        said = " ".join(f"{values!r:.160}".split())
        raise InvalidInput(f"{name} is {said:.80}, must be rights of one shape") from None
    if raw.dtype.kind in "iuf":
        return raw.astype(np.float64, copy=False)
    if raw.dtype.kind == "b":
        return np.where(raw, 1.0, -1.0)
    codes = [_right_of(v) for v in raw.ravel().tolist()]
    return np.array(codes, np.float64).reshape(raw.shape)


def together(**arrays: Floats) -> list[Floats]:
    """Broadcast together, or raise naming each argument and its shape."""
    try:
        return list(np.broadcast_arrays(*arrays.values()))
    except ValueError:
        said = " and ".join(f"{name} {a.shape}" for name, a in arrays.items())
        raise InvalidInput(
            f"{said} do not broadcast together; for all pairs of two give one as a column, "
            "x[:, None]"
        ) from None


def columns(*arrays: Floats) -> tuple[tuple[int, ...], list[Floats]]:
    """Broadcast together; return the shape and one contiguous, writable 1-D array for each.

    Kernels are compiled for exactly this layout: a read-only or strided array would compile a
    second copy of every kernel.
    """
    shape, out = lanes(*arrays)
    size = math.prod(shape)
    return shape, [a if a.size == size else np.full(size, a[0]) for a in out]


def lanes(*arrays: Floats) -> tuple[tuple[int, ...], list[Floats]]:
    """As `columns`, but an argument that is one number for all stays an array of size one."""
    shape = _shape(arrays)
    size = math.prod(shape)
    out = []
    for a in arrays:
        if a.size == 1:
            out.append(np.array([a.item()]))
        elif a.shape == shape and a.flags.c_contiguous and a.flags.aligned:
            out.append(_writable(a.reshape(size)))
        else:
            full = np.empty(shape)
            full[...] = a
            out.append(full.reshape(size))
    return shape, out


def _shape(arrays: tuple[Floats, ...]) -> tuple[int, ...]:
    """The broadcast shape; the two usual cases without numpy's general rule, which costs more."""
    shapes = {a.shape for a in arrays} - {()}
    if len(shapes) < 2:
        return shapes.pop() if shapes else ()
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        said = ", ".join(str(a.shape) for a in arrays)
        raise InvalidInput(f"arguments of shapes {said} do not broadcast together") from None


class _Alias:
    """The memory of an array under another flag."""

    __slots__ = ("__array_interface__", "owner")

    def __init__(self, array: Floats) -> None:
        described = dict(array.__array_interface__)
        described["data"] = (described["data"][0], False)
        self.__array_interface__ = described
        self.owner = array


def _writable(array: Floats) -> Floats:
    """The same memory without the read-only flag that frames put on it; kernels do not write it."""
    return array if array.flags.writeable else np.asarray(_Alias(array))


def _right_of(value: object) -> float:
    """+1.0, -1.0, or 0.0 for a code that is neither."""
    if isinstance(value, str | bytes):
        known = _RIGHTS.get(value)
        if known is None:
            text = value.decode("ascii", "replace") if isinstance(value, bytes) else value
            known = _WORDS.get(text.strip().lower(), 0.0)
        return known
    if isinstance(value, bool):
        return 1.0 if value else -1.0
    if isinstance(value, int | float) and abs(value) == 1:
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
