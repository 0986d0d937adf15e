"""Why an element of a batch has no answer: one code per element, and the remedy in words."""

from enum import IntEnum


class Status(IntEnum):
    """Result code of one element. Anything but OK means: do not use the number as a volatility."""

    OK = 0
    BELOW_INTRINSIC = 1
    ABOVE_BOUND = 2
    NO_VEGA = 3
    NOT_CONVERGED = 4
    BAD_INPUT = 5
    UNSUPPORTED = 6  # no caller gets it today: every combination of rate and yield is priced


_REMEDY = {
    Status.OK: "",
    Status.BELOW_INTRINSIC: "price is below intrinsic: stale quote or wrong forward",
    Status.ABOVE_BOUND: (
        "price is at or above its upper bound (call: the forward or the share, put: the strike): "
        "check the multiplier and the right"
    ),
    Status.NO_VEGA: (
        "price carries no volatility at this precision: it equals intrinsic; use the other wing"
    ),
    Status.NOT_CONVERGED: (
        "the solver did not converge; report the inputs, and drop the quote meanwhile"
    ),
    Status.BAD_INPUT: (
        "an input is NaN, infinite or not positive: forward or spot, strike, years and df must be "
        "finite and > 0, the price finite"
    ),
    Status.UNSUPPORTED: "this engine does not price the case; its documentation says which it does",
}


def remedy(status: int) -> str:
    """What to do about `status`, in one sentence; empty for OK."""
    return _REMEDY[Status(status)]
