"""What came in decides what goes out: numbers for numbers, a Series for a Series.

pandas keeps its index, polars its kind; neither is imported here, since only a caller who has one
can pass one. Values are read without a copy where the frame allows it.
"""

import sys
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from surfaces.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Container:
    """The kind of result a call returns; `index` is pandas' and None elsewhere."""

    kind: str  # "numpy", "pandas" or "polars"
    index: Any = None

    def wrap(self, name: str, values: NDArray[Any], shape: tuple[int, ...]) -> Any:
        """`values`, of any shape with as many elements, as the caller's kind; scalars for 0-d."""
        if self.kind == "numpy" or len(shape) != 1:
            return values.reshape(shape)[()]
        if self.kind == "pandas":
            if len(self.index) != shape[0]:
                raise InvalidInput(
                    f"a Series of {len(self.index)} rows meets {shape[0]} elements; "
                    "give every argument one value or one a row"
                )
            return sys.modules["pandas"].Series(values, index=self.index, name=name, copy=False)
        return sys.modules["polars"].Series(name, values)


NUMPY = Container("numpy")


def of(*arguments: Any) -> Container:
    """The kind of the first Series among the arguments; unlike kinds or indexes are refused.

    Raises
    ------
    InvalidInput
        For pandas Series whose indexes differ (nothing is aligned silently), or both libraries.
    """
    series = [(k, a) for a in arguments if (k := _kind(a))]
    if not series:
        return NUMPY
    kind, first = series[0]
    if any(k != kind for k, _ in series):
        raise InvalidInput("pandas and polars Series in one call; convert one of them first")
    if kind == "polars":
        return Container(kind)
    for _, other in series[1:]:
        if other.index is not first.index and not other.index.equals(first.index):
            raise InvalidInput(
                "pandas Series with different indexes in one call; align them first "
                "(a.align(b)), or pass .to_numpy() to match rows by position"
            )
    return Container(kind, first.index)


def _kind(argument: object) -> str:
    """The library of a Series; empty for anything else."""
    home = type(argument).__module__.partition(".")[0]
    return home if home in ("pandas", "polars") and type(argument).__name__ == "Series" else ""
