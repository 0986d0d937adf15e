"""Why a quote is absent or wide, and why the event loop came back. Bits, so that reasons add up."""

from enum import IntFlag


class Why(IntFlag):
    """Why a side of ours is absent (the first group) or not where theo +- width puts it."""

    NONE = 0
    NO_THEO = 1
    STALE_UNDERLYING = 2
    CLOSED = 4
    HALTED = 8
    NO_HEADROOM = 16
    TRIPPED = 32
    KILLED = 64
    BELOW_TICK = 128
    UNCERTAIN = 256
    THROTTLED = 512
    REJECTED = 2048
    CROSS_GUARD = 4096
    WIDE_MARKET = 8192
    WIDE_UNCERTAINTY = 16384
    SKEWED = 32768
    BOUND_GUARD = 65536
    MID_GUARD = 131072
    NO_MARKET = 262144
    UNCERTIFIED = 524288
    SAME_SIDE = 1048576
    PICKED_OFF = 2097152


ABSENT = (
    Why.NO_THEO
    | Why.STALE_UNDERLYING
    | Why.CLOSED
    | Why.HALTED
    | Why.NO_HEADROOM
    | Why.TRIPPED
    | Why.KILLED
    | Why.BELOW_TICK
    | Why.UNCERTAIN
    | Why.THROTTLED
    | Why.REJECTED
    | Why.NO_MARKET
    | Why.UNCERTIFIED
)

TEXT = {
    Why.NO_THEO: "no fair value: the expiry has no usable surface",
    Why.STALE_UNDERLYING: "underlying quote is stale, absent or crossed",
    Why.CLOSED: "series is not open or has expired",
    Why.HALTED: "trading is halted",
    Why.NO_HEADROOM: "a limit leaves no room on this side",
    Why.TRIPPED: "a protection tripped and has not been re-armed",
    Why.KILLED: "the kill switch is on",
    Why.BELOW_TICK: "the bid would be under one tick",
    Why.UNCERTAIN: "fair value is too uncertain to quote",
    Why.THROTTLED: "message budget is used up",
    Why.REJECTED: "the venue refused the quote: it would have crossed when it landed",
    Why.NO_MARKET: "nobody else offers: no displayed ask to stand beside",
    Why.UNCERTIFIED: "the surface is not certified free of arbitrage at this strike",
    Why.SAME_SIDE: "many series traded on one side at once",
    Why.PICKED_OFF: "filled while the message that replaced it was on its way",
    Why.CROSS_GUARD: "moved behind the opposite market side, so as not to cross",
    Why.WIDE_MARKET: "wider because the market is wide",
    Why.WIDE_UNCERTAINTY: "wider because fair value is uncertain",
    Why.SKEWED: "moved by inventory",
    Why.BOUND_GUARD: "moved to the no-arbitrage bound",
    Why.MID_GUARD: "held back by the middle of the displayed market, which may know more",
}


class Reason(IntFlag):
    """Why `advance` returned. Gathered over the whole event, so nothing runs twice."""

    END = 1
    ACT_FULL = 2
    WIRE_FULL = 4
    FILL = 8
    TIMER = 16
    TAYLOR = 32
    DIRTY = 64
    TRIP = 128
    HALT = 256
    LIMIT = 512


def describe(bits: int) -> list[str]:
    """Return the texts of the reasons in `bits`, in bit order."""
    return [text for why, text in TEXT.items() if bits & why]
