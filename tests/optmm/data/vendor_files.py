"""Made-up vendors' files, written from the vendors' column lists by other means than the readers.

`market` is the truth: bids, asks and sizes of a chain that a formula made, so that what is read
can be compared with what was meant, number by number.
"""

import csv
import datetime as dt
import io
import math
from zoneinfo import ZoneInfo

NEW_YORK = ZoneInfo("America/New_York")
OPTIONSDX = (
    "[QUOTE_UNIXTIME], [QUOTE_READTIME], [QUOTE_DATE], [QUOTE_TIME_HOURS], [UNDERLYING_LAST], "
    "[EXPIRE_DATE], [EXPIRE_UNIX], [DTE], [C_DELTA], [C_GAMMA], [C_VEGA], [C_THETA], [C_RHO], "
    "[C_IV], [C_VOLUME], [C_LAST], [C_SIZE], [C_BID], [C_ASK], [STRIKE], [P_BID], [P_ASK], "
    "[P_SIZE], [P_LAST], [P_DELTA], [P_GAMMA], [P_VEGA], [P_THETA], [P_RHO], [P_IV], [P_VOLUME], "
    "[STRIKE_DISTANCE], [STRIKE_DISTANCE_PCT]"
)
DATASHOP_EOD = (
    "underlying_symbol,quote_date,root,expiration,strike,option_type,open,high,low,close,"
    "trade_volume,bid_size_1545,bid_1545,ask_size_1545,ask_1545,underlying_bid_1545,"
    "underlying_ask_1545,implied_underlying_price_1545,active_underlying_price_1545,"
    "implied_volatility_1545,delta_1545,gamma_1545,theta_1545,vega_1545,rho_1545,bid_size_eod,"
    "bid_eod,ask_size_eod,ask_eod,underlying_bid_eod,underlying_ask_eod,vwap,open_interest,"
    "delivery_code"
)
DATASHOP_INTERVAL = (
    "underlying_symbol,quote_datetime,root,expiration,strike,option_type,open,high,low,close,"
    "trade_volume,bid_size,bid,ask_size,ask,underlying_bid,underlying_ask,"
    "implied_underlying_price,active_underlying_price,implied_volatility,delta,gamma,theta,vega,"
    "rho,open_interest"
)
YAHOO = (
    "contractSymbol,lastTradeDate,strike,lastPrice,bid,ask,change,percentChange,volume,"
    "openInterest,impliedVolatility,inTheMoney,contractSize,currency"
)
MASSIVE = (
    "ticker,ask_exchange,ask_price,ask_size,bid_exchange,bid_price,bid_size,sequence_number,"
    "sip_timestamp"
)
EXPIRIES = (dt.date(2024, 3, 15), dt.date(2024, 4, 19))
STRIKES = (480.0, 500.0, 505.0, 520.0, 600.0)
Key = tuple[dt.date, float, int]
Quote = tuple[float, float, int, int]  # bid, ask, sizes


def at(date: str, time: str) -> int:
    """Seconds since 1970 of a New York wall clock."""
    return int(dt.datetime.fromisoformat(f"{date}T{time}").replace(tzinfo=NEW_YORK).timestamp())


def market(spot: float = 502.3, day: dt.date = dt.date(2024, 3, 12)) -> dict[Key, Quote]:
    """Quotes of every option: Black's formula at 20 %, cents, spreads that widen with the price."""
    out = {}
    for expiry in EXPIRIES:
        years = ((expiry - day).days + 1) / 365
        for strike in STRIKES:
            for right in (1, -1):
                s = 0.2 * math.sqrt(years)
                d1 = math.log(spot / strike) / s + s / 2
                n1, n2 = (0.5 * math.erfc(-right * d / math.sqrt(2)) for d in (d1, d1 - s))
                cents = 100 * right * (spot * n1 - strike * n2)
                half = 1 + cents // 200
                bid, ask = max(cents // 1 - half, 0) / 100, (cents // 1 + half) / 100
                out[expiry, strike, right] = (bid, ask, 10 + int(strike) % 7, 20 + int(strike) % 11)
    return out


def optionsdx(
    quotes: dict[Key, Quote], *, date: str = "2024-03-12", time: str = "16:00",
    spot: float = 502.3, heading: bool = True, unix: int | None = None, expire: str = "16:00",
) -> str:  # fmt: skip
    """Rows of one instant as OptionsDX writes them: blanks after commas, an absent cell is ' '."""
    rows = [OPTIONSDX] if heading else []
    stamp = at(date, time) if unix is None else unix
    hours = f"{int(time[:2]) + int(time[3:]) / 60:.6f}"
    for expiry, strike in sorted({key[:2] for key in quotes}):
        call, put = quotes.get((expiry, strike, 1)), quotes.get((expiry, strike, -1))
        cells = [
            stamp, f"{date} {time}", date, hours, f"{spot:.6f}", expiry.isoformat(),
            at(expiry.isoformat(), expire), f"{(expiry - dt.date.fromisoformat(date)).days:.6f}",
            "0.5", "0.01", "0.3", "-0.2", "0.1", "0.201000", "", "1.0",
            *([f"{call[2]} x {call[3]}", f"{call[0]:.6f}", f"{call[1]:.6f}"] if call else [""] * 3),
            f"{strike:.6f}",
            *([f"{put[0]:.6f}", f"{put[1]:.6f}", f"{put[2]} x {put[3]}"] if put else [""] * 3),
            "1.0", "-0.5", "0.01", "0.3", "-0.2", "-0.1", "0.199000", "7.0", "1.0", "0.002",
        ]  # fmt: skip
        rows.append(", ".join(str(c) if c != "" else " " for c in cells))
    return "\n".join(rows) + "\n"


def datashop_eod(
    early: dict[Key, Quote], late: dict[Key, Quote], *, symbol: str = "SPY", root: str = "SPY",
    date: str = "2024-03-12", code: str = "",
) -> str:  # fmt: skip
    """One date: `early` at 15:45, `late` at the close of the options."""
    out = io.StringIO()
    out.write(DATASHOP_EOD + "\n")
    writer = csv.writer(out, lineterminator="\n")
    for (expiry, strike, right), (bid, ask, bids, asks) in early.items():
        bid2, ask2, bids2, asks2 = late[expiry, strike, right]
        writer.writerow([
            symbol, date, root, expiry.isoformat(), f"{strike:.3f}", "C" if right > 0 else "P",
            0, 0, 0, 0, 0, bids, bid, asks, ask, 502.29, 502.31, 502.3, 502.3, 0.2, 0.5, 0.01,
            -0.1, 0.3, 0.1, bids2, bid2, asks2, ask2, 503.09, 503.11, 0, 1234, code,
        ])  # fmt: skip
    return out.getvalue()


def datashop_intervals(
    chains: dict[str, dict[Key, Quote]], *, symbol: str = "SPY", root: str = "SPY",
    traded: dict[Key, tuple[float, float, int]] | None = None, heading: bool = True,
) -> str:  # fmt: skip
    """A chain at every "YYYY-MM-DD HH:MM:SS"; `traded` are low, high, volume of the last one."""
    out = io.StringIO()
    if heading:
        out.write(DATASHOP_INTERVAL + "\n")
    writer = csv.writer(out, lineterminator="\n")
    for when, quotes in chains.items():
        last = when == list(chains)[-1]
        for (expiry, strike, right), (bid, ask, bids, asks) in quotes.items():
            low, high, volume = (traded or {}).get((expiry, strike, right), (0, 0, 0))
            if not last:
                low, high, volume = 0, 0, 0
            writer.writerow([
                symbol, when, root, expiry.isoformat(), f"{strike:.3f}",
                "C" if right > 0 else "P", low, high, low, high, volume, bids, bid, asks, ask,
                502.29, 502.31, 502.3, 502.3, 0.2, 0.5, 0.01, -0.1, 0.3, 0.1, 99,
            ])  # fmt: skip
    return out.getvalue()


def osi(root: str, key: Key) -> str:
    """Root unpadded, yymmdd, C or P, strike x 1000 in 8 digits."""
    expiry, strike, right = key
    return f"{root}{expiry:%y%m%d}{'C' if right > 0 else 'P'}{round(strike * 1000):08d}"


def yahoo(quotes: dict[Key, Quote], *, root: str = "SPY", index: bool = True) -> str:
    """`option_chain` calls and puts, concatenated and written by pandas (its index included)."""
    out = io.StringIO()
    out.write(("," if index else "") + YAHOO + "\n")
    writer = csv.writer(out, lineterminator="\n")
    for i, (key, (bid, ask, *_)) in enumerate(quotes.items()):
        cells = [
            osi(root, key), "2024-03-12 15:59:58+00:00", key[1], 1.0, bid, ask, 0.1, 2.0,
            "" if i % 3 else 5.0, 12, 0.2 + 1e-4 * i, key[1] < 502, "REGULAR", "USD",
        ]  # fmt: skip
        writer.writerow([i, *cells] if index else cells)
    return out.getvalue()


def massive(rows: list[tuple[str, int, Quote]], *, heading: bool = True) -> str:
    """(ticker, ns, quote) in the order given."""
    lines = [MASSIVE] if heading else []
    for number, (ticker, ns, (bid, ask, bids, asks)) in enumerate(rows):
        lines.append(f"{ticker},302,{ask},{asks},316,{bid},{bids},{1000 + number},{ns}")
    return "\n".join(lines) + "\n"


def deribit(rows: list[tuple[str, float | None, float | None, float]], stamp_ms: int) -> str:
    """The API's answer to a book summary: (name, bid, ask, forward), prices in coin."""
    import json

    result = [
        {
            "instrument_name": name, "bid_price": bid, "ask_price": ask, "mark_price": 0.01,
            "mark_iv": 55.5, "underlying_price": forward, "underlying_index": "SYN.X",
            "creation_timestamp": stamp_ms + i, "interest_rate": 0.0, "volume": 1.5,
            "open_interest": 10.0, "base_currency": "BTC", "quote_currency": "BTC",
        }
        for i, (name, bid, ask, forward) in enumerate(rows)
    ]  # fmt: skip
    return json.dumps({"jsonrpc": "2.0", "result": result, "usIn": 1, "usOut": 2})
