"""Made-up Databento files, encoded record by record with the vendor's own library."""

import datetime as dt
from pathlib import Path
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pyarrow as pa

DAY = "2024-03-12"
OPEN_NS = int(
    dt.datetime.fromisoformat(f"{DAY}T09:30").replace(tzinfo=ZoneInfo("America/New_York")).timestamp()
) * 10**9  # fmt: skip
CLOSE_NS = OPEN_NS + (6 * 3600 + 45 * 60) * 10**9  # SPY options: 16:15
CALL, PUT, ADJUSTED, MINI, OTHER, SPY = 101, 102, 103, 104, 105, 7
SYMBOLS = {
    CALL: "SPY   240315C00500000", PUT: "SPY   240315P00500000",
    ADJUSTED: "SPY1  240315C00500000", MINI: "SPY   240315C00505000",
    OTHER: "QQQ   240315C00430000",
}  # fmt: skip
UNDER = 2**31 - 1  # undefined contract_multiplier


def ns(seconds: float) -> int:
    """So long after the open."""
    return OPEN_NS + round(seconds * 1e9)


class Maker:
    """Writes files into a folder; `dbn` is the module databento_dbn."""

    def __init__(self, dbn, folder: Path) -> None:
        self.dbn, self.folder = dbn, folder

    def write(self, name: str, schema: str, records: list, **how) -> Path:
        """A file of one schema: `dataset`, `symbols`, `packed`, `cut` bytes off its end."""
        symbols = how.get("symbols", SYMBOLS)
        start = int(dt.datetime.fromisoformat(f"{DAY}T00:00+00:00").timestamp()) * 10**9
        day = dt.date.fromisoformat(DAY)
        head = self.dbn.Metadata(
            dataset=how.get("dataset", "OPRA.PILLAR"), start=start, end=start + 86_400 * 10**9,
            stype_in=self.dbn.SType.RAW_SYMBOL, stype_out=self.dbn.SType.INSTRUMENT_ID,
            schema=None if schema == "mixed" else self.dbn.Schema(schema),
            symbols=list(symbols.values()), version=3, ts_out=False, limit=None,
            mappings=[
                SimpleNamespace(
                    raw_symbol=symbol,
                    intervals=[
                        SimpleNamespace(
                            start_date=day, end_date=day + dt.timedelta(days=1), symbol=str(number)
                        )
                    ],
                )
                for number, symbol in symbols.items()
            ],
        )  # fmt: skip
        raw = bytes(head) + b"".join(bytes(r) for r in records)
        raw = raw[: len(raw) - how.get("cut", 0)]
        packed = how.get("packed", True)
        path = self.folder / f"{name}.dbn{'.zst' if packed else ''}"
        path.write_bytes(pa.compress(raw, "zstd", asbytes=True) if packed else raw)
        return path

    def definition(self, number: int, multiplier: int = UNDER, when: int | None = None):
        symbol = SYMBOLS[number]
        right = self.dbn.InstrumentClass(symbol[12])
        stamp = OPEN_NS - 3 * 3600 * 10**9 if when is None else when
        return self.dbn.InstrumentDefMsg(
            publisher_id=30, instrument_id=number, ts_event=stamp, ts_recv=stamp + 1000,
            min_price_increment=self.dbn.UNDEF_PRICE, display_factor=self.dbn.UNDEF_PRICE,
            raw_symbol=symbol, asset=symbol[:6].strip(), security_type="OPT",
            instrument_class=right, security_update_action=self.dbn.SecurityUpdateAction.ADD,
            expiration=OPEN_NS, strike_price=int(symbol[13:]) * 10**6,
            underlying=symbol[:6].strip().rstrip("1"), contract_multiplier=multiplier,
        )  # fmt: skip

    def definitions(self, **multipliers: int) -> Path:
        """The usual five; `mini=10` gives that series another multiplier."""
        rows = [self.definition(n) for n in (CALL, PUT, ADJUSTED, OTHER)]
        rows.append(self.definition(MINI, multipliers.get("mini", UNDER)))
        return self.write("definition", "definition", rows)

    def level(self, bid: float | None, ask: float | None, bids: int, asks: int):
        none = self.dbn.UNDEF_PRICE
        return self.dbn.ConsolidatedBidAskPair(
            bid_px=none if bid is None else round(bid * 1e9),
            ask_px=none if ask is None else round(ask * 1e9),
            bid_sz=bids, ask_sz=asks, bid_pb=30, ask_pb=30,
        )  # fmt: skip

    def cmbp(self, number, seconds, bid, ask, bids=10, asks=20, *, action="M", flags=0, price=None,
             lots=0, late_ns=200_000):  # fmt: skip
        stamp = ns(seconds)
        return self.dbn.CMBP1Msg(
            rtype=177, publisher_id=30, instrument_id=number, ts_event=stamp,
            price=self.dbn.UNDEF_PRICE if price is None else round(price * 1e9), size=lots,
            action=self.dbn.Action(action), side=self.dbn.Side.NONE, ts_recv=stamp + late_ns,
            flags=flags, ts_in_delta=0, levels=self.level(bid, ask, bids, asks),
        )  # fmt: skip

    def cbbo(self, number, seconds, bid, ask, bids=10, asks=20, *, rtype=192):
        return self.dbn.CBBOMsg(
            rtype=rtype, publisher_id=30, instrument_id=number, ts_event=self.dbn.UNDEF_TIMESTAMP,
            price=self.dbn.UNDEF_PRICE, size=0, side=self.dbn.Side.NONE, ts_recv=ns(seconds),
            levels=self.level(bid, ask, bids, asks),
        )  # fmt: skip

    def trade(self, number, seconds, price, lots, *, side="N", sequence=1):
        stamp = ns(seconds)
        return self.dbn.TradeMsg(
            publisher_id=23, instrument_id=number, ts_event=stamp, price=round(price * 1e9),
            size=lots, action=self.dbn.Action.TRADE, side=self.dbn.Side(side), depth=0,
            ts_recv=stamp + 200_000, sequence=sequence,
        )  # fmt: skip

    def mbp(self, number, seconds, bid, ask, bids=300, asks=400, *, sequence=1):
        stamp = ns(seconds)
        level = self.dbn.BidAskPair(
            bid_px=round(bid * 1e9), ask_px=round(ask * 1e9), bid_sz=bids, ask_sz=asks,
            bid_ct=1, ask_ct=1,
        )  # fmt: skip
        return self.dbn.MBP1Msg(
            publisher_id=2, instrument_id=number, ts_event=stamp, price=round(bid * 1e9), size=bids,
            action=self.dbn.Action.ADD, side=self.dbn.Side.BID, depth=0, ts_recv=stamp + 100_000,
            sequence=sequence, levels=level,
        )  # fmt: skip

    def interest(self, number, quantity):
        return self.dbn.StatMsg(
            publisher_id=30, instrument_id=number, ts_event=OPEN_NS, ts_recv=OPEN_NS,
            ts_ref=self.dbn.UNDEF_TIMESTAMP, price=self.dbn.UNDEF_PRICE, quantity=quantity,
            stat_type=self.dbn.StatType.OPEN_INTEREST,
        )  # fmt: skip

    def status(self, number, seconds, action: str):
        return self.dbn.StatusMsg(
            publisher_id=30, instrument_id=number, ts_event=ns(seconds), ts_recv=ns(seconds),
            action=getattr(self.dbn.StatusAction, action),
        )  # fmt: skip
