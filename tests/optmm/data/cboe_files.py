"""Made-up Cboe files: invented prices of an invented market, in every shape of header seen."""

import csv
import io
import json

HEADINGS = (
    "Expiration Date,Calls,Last Sale,Net,Bid,Ask,Volume,IV,Delta,Gamma,Open Interest,Strike,"
    "Puts,Last Sale,Net,Bid,Ask,Volume,IV,Delta,Gamma,Open Interest"
)
NAME = "Standard & Poors 500 Index,Last: 5000.25,Change:  1.5"
DATE = '"Date: March 12, 2024 at 4:31 PM EDT",Bid: 4990.5,Ask: 5010.5,Size: 1*1,Volume: 0'
Sides = tuple[float | str, float | str, float | str, float | str]  # call bid, ask, put bid, ask


def row(root: str, expiry: str, strike: float, sides: Sides) -> str:
    """One line of the table; `expiry` as yymmdd."""
    call, put = (f"{root}{expiry}{right}{round(1000 * strike):08d}" for right in "CP")
    out = io.StringIO()
    cells = [
        f"Fri Mar 15 20{expiry[:2]}", call, 1.0, 0, sides[0], sides[1], 7, 0.2, 0.5, 0.01, 3,
        f"{strike:.2f}", put, 1.0, 0, sides[2], sides[3], 7, 0.2, -0.5, 0.01, 3,
    ]  # fmt: skip
    csv.writer(out, lineterminator="\n").writerow(cells)
    return out.getvalue()


ROWS = (
    row("SPX", "240315", 4900, (101.0, 103.0, 1.0, 1.5))
    + row("SPX", "240315", 5000, (20.0, 21.0, 19.5, 20.5))
    + row("SPXW", "240315", 5000, (22.0, 23.0, 21.5, 22.5))
    + row("SPXW", "240315", 5100, (0, 0.5, 99.0, 101.0))
)


def table(*, name: str = NAME, date: str = DATE, rows: str = ROWS, blank: bool = True) -> str:
    """A whole file."""
    return ("\n" if blank else "") + f"{name}\n{date}\n{HEADINGS}\n{rows}"


def chain_json(timestamp: str = "2024-03-12 20:31:00") -> str:
    """The same market as JSON, SPY-like, with sizes."""
    options = [
        {"option": "SPY240315C00500000", "bid": 2.0, "bid_size": 11.0, "ask": 2.1, "ask_size": 5.0},
        {"option": "SPY240315P00500000", "bid": 1.9, "bid_size": 0.0, "ask": 2.0, "ask_size": 9.0},
        {"option": "SPY240315P00400000", "bid": None, "bid_size": 0, "ask": 0.01, "ask_size": 99},
        {"option": "nonsense", "bid": 1.0, "ask": 2.0},
    ]
    data = {
        "options": options, "symbol": "SPY", "security_type": "stock", "current_price": 500.1,
        "bid": 500.05, "ask": 500.07,
    }  # fmt: skip
    return json.dumps({"timestamp": timestamp, "data": data, "symbol": "SPY"})
