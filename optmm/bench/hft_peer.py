"""hftbacktest on a tape that `optmm.bench.hft` wrote: a program for the peer's own environment.

It imports nothing of ours. Run as `python hft_peer.py TAPE.npy SETTINGS.json`; a line on stdin asks
for one pass, a line of JSON on stdout answers: CPU seconds of this thread, orders sent, orders
replaced, fills, position. The first pass compiles. An empty line or the end of stdin stops it.

The quoting rule is the caller's: one order a side at the middle less and plus a half width,
outward to the tick, left alone inside a band, post-only, one lot. Orders move by `modify`, one
request each, which is the least work the library can be asked for.
"""

import json
import sys
import time
from typing import Any

import numpy as np
from numba import njit

FEED = 2
FREE = 0  # no order of ours on that side
PATIENCE_NS = 60_000_000_000
GTX, LIMIT, REQ_NONE, NEW, PARTIAL = 1, 0, 0, 1, 5


@njit
def follow(hbt, orders, side, order_id, next_id, want, sent_tick, band, tick, out):
    """Bring one side to `want` ticks; return (order id, tick sent, next id)."""
    if order_id != FREE and abs(want - sent_tick) <= band:
        return order_id, sent_tick, next_id
    if order_id != FREE:
        order = orders.get(order_id)
        if order is not None and order.status in (NEW, PARTIAL):
            if order.req != REQ_NONE:
                return order_id, sent_tick, next_id  # the request before is still on its way
            hbt.modify(0, order_id, want * tick, 1.0, False)
            out[0] += 1
            out[1] += 1
            return order_id, want, next_id
        if order is not None and order.req != REQ_NONE:
            return order_id, sent_tick, next_id
    if side > 0:
        hbt.submit_buy_order(0, next_id, want * tick, 1.0, GTX, LIMIT, False)
    else:
        hbt.submit_sell_order(0, next_id, want * tick, 1.0, GTX, LIMIT, False)
    out[0] += 1
    return next_id, want, next_id + 1


@njit
def quote(hbt, half, band, out):
    """Decide at every feed event until the tape ends."""
    tick = hbt.depth(0).tick_size
    bid_id, ask_id, next_id = 0, 0, 1
    bid_tick, ask_tick = 0, 0
    held = hbt.position(0)
    while hbt.wait_next_feed(False, PATIENCE_NS) == FEED:
        depth = hbt.depth(0)
        middle2 = depth.best_bid_tick + depth.best_ask_tick
        orders = hbt.orders(0)
        now = hbt.position(0)
        if now != held:
            # an order was filled: forget it, so that the side is quoted anew
            if now > held:
                bid_id = FREE
            else:
                ask_id = FREE
            held = now
            hbt.clear_inactive_orders(0)
        want = (middle2 - 2 * half) // 2
        bid_id, bid_tick, next_id = follow(
            hbt, orders, 1, bid_id, next_id, want, bid_tick, band, tick, out
        )
        want = -((-middle2 - 2 * half) // 2)
        ask_id, ask_tick, next_id = follow(
            hbt, orders, -1, ask_id, next_id, want, ask_tick, band, tick, out
        )


def one_pass(lib: Any, tape: Any, it: dict[str, Any]) -> dict[str, Any]:
    """A fresh exchange over the whole tape."""
    asset = (
        lib.BacktestAsset()
        .data(tape)
        .linear_asset(1.0)
        .constant_order_latency(it["latency_ns"], 0)
        .risk_adverse_queue_model()
        .no_partial_fill_exchange()
        .trading_value_fee_model(0.0, 0.0)
        .tick_size(it["tick"])
        .lot_size(1.0)
        .roi_lb(it["low"])
        .roi_ub(it["high"])
        .last_trades_capacity(0)
    )
    hbt = lib.ROIVectorMarketDepthBacktest([asset])
    out = np.zeros(2, np.int64)
    begun = time.thread_time()
    quote(hbt, it["half_ticks"], it["band_ticks"], out)
    seconds = time.thread_time() - begun
    values = hbt.state_values(0)
    found = {
        "seconds": seconds, "sent": int(out[0]), "replaced": int(out[1]),
        "fills": int(values.num_trades), "position": int(values.position),
    }  # fmt: skip
    hbt.close()
    return found


def main(tape: str, settings: str) -> None:
    """Answer until stdin ends."""
    import hftbacktest

    with open(settings, encoding="utf-8") as file:
        it = json.load(file)
    rows = np.load(tape)
    said = {"version": hftbacktest.__version__}
    for line in sys.stdin:
        if not line.strip():
            break
        sys.stdout.write(json.dumps(said | one_pass(hftbacktest, rows, it)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
