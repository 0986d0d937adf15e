"""Our place at a price: who trades before us, and our share of what is left (docs/fills.md)."""

from optmm.engine.compiled import inlined
from optmm.engine.layout import OPTIMISTIC, PESSIMISTIC, PRO_RATA


@inlined
def stood(ahead, shown, was_shown, customer_pm):
    """Lots ahead of us after the size at our price changed; customers who come go before us."""
    joined = max(shown - was_shown, 0) * customer_pm
    return min(ahead, shown) + (joined + 999) // 1000


@inlined
def follow_queue(h, o, m, was_bid, was_ask, was_bid_lots, was_ask_lots):
    """After a new market quote: nobody is ahead of a price we improve; never more than is shown."""
    if m["bid_e9"] < o["bid_e9"]:
        o["bid_ahead"] = 0
    elif m["bid_e9"] > o["bid_e9"]:
        o["bid_ahead"] = max(o["bid_ahead"], m["bid_lots"])
    elif was_bid == m["bid_e9"]:
        o["bid_ahead"] = stood(o["bid_ahead"], m["bid_lots"], was_bid_lots, h["customer_pm"])
    else:
        o["bid_ahead"] = m["bid_lots"]
    if m["ask_e9"] == 0 or m["ask_e9"] > o["ask_e9"]:
        o["ask_ahead"] = 0
    elif m["ask_e9"] < o["ask_e9"]:
        o["ask_ahead"] = max(o["ask_ahead"], m["ask_lots"])
    elif was_ask == m["ask_e9"]:
        o["ask_ahead"] = stood(o["ask_ahead"], m["ask_lots"], was_ask_lots, h["customer_pm"])
    else:
        o["ask_ahead"] = m["ask_lots"]


@inlined
def queue_lots(ahead, credit, traded, share_pm):
    """Split `traded` lots at our price: first those ahead, then our share, carried per mille.

    Returns (lots that reach us, new ahead, new credit).
    """
    behind = max(traded - ahead, 0)
    credit = credit + behind * share_pm
    lots = credit // 1000
    return lots, max(ahead - traded, 0), credit - lots * 1000


@inlined
def pro_rata_lots(live, others, before, credit, traded):
    """Split `traded` lots at our price: `before` first, the rest by size, carried per mille.

    Returns (lots that reach us, new credit).
    """
    rest = max(traded - before, 0)
    credit = credit + rest * 1000 * live // (live + others)
    lots = credit // 1000
    return lots, credit - lots * 1000


@inlined
def beside(h, live_px, px, lots, side):
    """(Displayed lots that go before us, displayed lots that share with us) under pro rata."""
    if px <= 0 or side * (live_px - px) > 0:
        return 0, 0
    if live_px != px:  # a better displayed price trades first; as many are taken to stand with us
        return lots, lots
    customers = (lots * h["customer_pm"] + 999) // 1000
    return customers, lots - customers


@inlined
def side_lots(h, m, o, side, through, at, traded):
    """Lots of our quote on `side` that a print of `traded` lots fills, and move the queue."""
    live = o["bid_lots"] if side > 0 else o["ask_lots"]
    if live == 0 or not (through or at):
        return 0
    world = h["world"]
    if world == OPTIMISTIC:
        return min(live, traded)
    ahead = o["bid_ahead"] if side > 0 else o["ask_ahead"]
    if through:
        return min(live, max(traded - ahead, 0))
    if world == PESSIMISTIC:
        return 0
    credit = o["bid_credit"] if side > 0 else o["ask_credit"]
    if h["queue_model"] == PRO_RATA:
        if side > 0:
            before, others = beside(h, o["bid_e9"], m["bid_e9"], m["bid_lots"], 1)
        else:
            before, others = beside(h, o["ask_e9"], m["ask_e9"], m["ask_lots"], -1)
        lots, credit = pro_rata_lots(live, others, before, credit, traded)
    else:
        lots, ahead, credit = queue_lots(ahead, credit, traded, h["share_pm"])
    if side > 0:
        o["bid_ahead"] = ahead
        o["bid_credit"] = credit
    else:
        o["ask_ahead"] = ahead
        o["ask_credit"] = credit
    return min(live, lots)
