"""Tables of the venue: assumptions and their cost, latency, what a night or an expiry booked."""

from typing import Any

from optmm.reports.tables import NA, Column, Table, main_world, number, percent, words

COSTS = (
    ("picked_off_contracts", "Picked off", "contracts", 0),
    ("picked_off_usd", "Picked off, against fair value at the fill", "USD", 2),
    ("throttled", "Messages held back by the budget", "", 0),
    ("unquoted_average_usd", "Edge left unquoted, average over the session", "USD", 2),
    ("excluded_prints", "Prints that could not have met us", "", 0),
    ("side_trips", "Pulled by trades on one side", "times", 0),
    ("decisions", "Quotes decided", "", 0),
    ("sweeps", "Sweeps", "", 0),
)


def costs(report: dict[str, Any]) -> Table:
    """What latency, budget and guards did in every world."""
    bounds = report["venue"]["bounds"]
    rows = tuple(
        (label, unit, *(number(b[key], digits) for b in bounds.values()))
        for key, label, unit, digits in COSTS
    )
    columns = (*words("", "unit"), *(Column(name) for name in bounds))
    note = "Picked off: filled while a newer message of ours was on its way."
    return Table("venue", "Latency, budget and guards", columns, rows, note)


def assumptions(report: dict[str, Any]) -> Table:
    """What every figure rests on, a sentence a row."""
    rows = tuple((text,) for text in report["venue"]["assumptions"])
    return Table("assumptions", "Assumptions", words("assumption"), rows)


LATENCIES = (
    ("event", "Tick to quote: an event to its last message"),
    ("decision", "Decision: refit, skew, limits, hedge"),
)


def latency(report: dict[str, Any]) -> Table:
    """Wall time of the code itself, sampled; no assumption of the venue."""
    watched = report["latency"]
    if watched is None:
        return Table("latency", "Speed of this machine", words("", NA), ())
    keys = ("samples", "p50_us", "p90_us", "p99_us", "max_us")
    rows = tuple(
        (label, *(number(watched[key][name], 0 if name == "samples" else 1) for name in keys))
        for key, label in LATENCIES
        if watched[key]["samples"]
    )
    columns = (
        *words(""),
        Column("samples"),
        *(Column(name, "µs") for name in ("median", "90 %", "99 %", "largest")),
    )
    return Table("latency", "Tick to quote on this machine", columns, rows, watched["method"])


def nights(report: dict[str, Any]) -> Table | None:
    """Legs and cash booked outside the market in every world; None where there were none."""
    rows = []
    for bound, b in report["nights"]["bounds"].items():
        rows += [
            (bound, leg["kind"], number(leg["legs"]), number(leg["lots"]), "", "")
            for leg in b["legs"]
        ]
        rows += [
            (bound, line["kind"], "", "", number(line["usd"], 2), line["note"])
            for line in b["carry"]
        ]
    if not rows:
        return None
    columns = (
        *words("world", "what"),
        Column("legs"),
        Column("lots"),
        Column("cash", "USD"),
        Column("note", numeric=False),
    )
    return Table("nights", "Expiries and nights", columns, tuple(rows))


def pins(report: dict[str, Any]) -> Table | None:
    """Pin risk of one world just before each fixing; None where nothing held delivered."""
    bound = main_world(report)
    rows = []
    for pin in report["nights"]["bounds"][bound]["pins"]:
        rows.append((pin["expiry"], f"all {pin['positions']}", "", "", "",
                     number(pin["total_sd_lots"], 0), number(pin["gap_usd"], 0)))  # fmt: skip
        rows += [
            ("", row["symbol"], number(row["lots"]), percent(row["exercise"]),
             percent(row["at_strike"]), number(row["sd_lots"], 0), "")
            for row in pin["near"]
        ]  # fmt: skip
    if not rows:
        return None
    columns = (
        *words("expiry", "position"),
        Column("lots"),
        Column("P(exercise)", "%"),
        Column("P(at the strike)", "%"),
        Column("s.d. delivered", "shares"),
        Column("gap, one s.d.", "USD"),
    )
    return Table("pins", f"Pin risk before the fixing, {bound}", columns, tuple(rows))
