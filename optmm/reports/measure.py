"""A reported number: value, unit, how many observations, over what window, or why it is absent."""

import math
from typing import Any


def measure(
    row: str,
    value: float | int | None,
    unit: str,
    *,
    n: int | None = None,
    window: str = "session",
    note: str = "",
    **more: Any,
) -> dict[str, Any]:
    """One number of a report template. `row` is its line in the template, such as "RR10".

    A NaN or infinite value becomes None and must come with a `note` that says why.
    """
    known = value is not None and math.isfinite(value)
    body = {"row": row, "value": value if known else None, "unit": unit, "n": n, "window": window}
    return body | ({"note": note} if note else {}) | more


def missing(row: str, reason: str, unit: str = "", *, n: int | None = None) -> dict[str, Any]:
    """A number that this run cannot give: prints `n/a (reason)`."""
    return measure(row, None, unit, n=n, note=reason)


def plain(value: Any) -> Any:
    """`value` with numpy scalars as Python's and NaN or infinity as None, fit for JSON."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if hasattr(value, "item") and not isinstance(value, str | bytes):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
