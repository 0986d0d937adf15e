"""Tables of the market: surface, flow, the quote card, data quality."""

from typing import Any

from optmm.reports.tables import (
    NA,
    Column,
    Table,
    limit_name,
    measured,
    number,
    percent,
    short,
    small,
    words,
    worlds,
)


def surface(report: dict[str, Any], expiries: list[str] | None = None) -> Table:
    """One row an expiry: quality over the day, curve at the close; then all expiries."""
    s = report["surface"]
    rows = [
        _surface_row(f"{e['expiry']} {e['root']}", e)
        for e in s["expiries"]
        if not expiries or e["expiry"] in expiries
    ]
    rows.append(_surface_row("all", s))
    columns = (
        *words("expiry"),
        Column("fits"),
        Column("hit", "%"),
        Column("core hit", "%"),
        Column("min g"),
        Column("cal. margin"),
        Column("fallback", "%"),
        Column("forward", "USD"),
        Column("±", "USD"),
        Column("rate", "%"),
        Column("carry", "%"),
        Column("ATM vol", "%"),
    )
    note = (
        f"{number(s['quotes'])} quotes in {number(s['fits'])} fits. Hit: model inside bid-ask. "
        f"Negative g (butterfly arbitrage) in {number(s['butterfly_violations'])} fits. Calendar "
        "margin: least variance gained on the expiry before, as a share of ATM variance; negative "
        f"in {number(s['calendar_violations'])} fits inside the quotes and in "
        f"{number(s['calendar_violations_wings'])} beyond them, where the worst is "
        f"{small(s['calendar_margin_wings'])}. Curve at the last fit."
    )
    return Table("surface", "Surface", columns, tuple(rows), note, frozenset({len(rows) - 1}))


def _surface_row(name: str, e: dict[str, Any]) -> tuple[str, ...]:
    c = e.get("close")
    curve = (
        ("",) * 5
        if c is None
        else (
            number(c["forward"], 2),
            number(c["forward_error"], 3),
            percent(c["rate"], 2),
            percent(c["carry"], 2),
            percent(c["atm_vol"], 2),
        )
    )
    quality = (number(e["fits"]), percent(e["hit_rate"]), percent(e["core_hit_rate"]))
    margins = (small(e["min_g"]), small(e["calendar_margin"]), percent(e["fallback_share"]))
    return (name, *quality, *margins, *curve)


def _hour(report: dict[str, Any], row: dict[str, Any]) -> str:
    """When a session hour began, with its date where the run has several."""
    return row["from"] if len(report["sessions"]) == 1 else f"{row['date']} {row['from']}"


def hourly(report: dict[str, Any]) -> Table:
    """FA1: prints and contracts of each session hour, and who started them."""
    flow = report["flow"]
    rows: list[tuple[str, ...]] = [
        (_hour(report, h), number(h["prints"]), number(h["contracts"]), percent(h["buy_share"]),
         percent(h["sell_share"]), percent(h["unsigned_share"]))
        for h in flow["hourly"]
    ]  # fmt: skip
    total = {
        key: sum((h[key] or 0.0) * h["contracts"] for h in flow["hourly"])
        for key in ("buy_share", "sell_share", "unsigned_share")
    }
    if flow["contracts"]:
        shares = (percent(x / flow["contracts"]) for x in total.values())
        rows.append(("day", number(flow["prints"]), number(flow["contracts"]), *shares))
    columns = (
        *words("hour from"),
        Column("prints"),
        Column("contracts"),
        Column("buy", "%"),
        Column("sell", "%"),
        Column("unsigned", "%"),
    )
    by = {name: number(lots) for name, lots in flow["signing"]["contracts"].items()}
    note = (
        f"Public prints, exchange time. Contracts by what signed them: aggressor in the feed "
        f"{by['given']}, quote rule {by['quote']}, tick rule at mid {by['tick']}; unsigned "
        f"{by['none']}."
    )
    strong = frozenset({len(rows) - 1}) if flow["contracts"] else frozenset()
    return Table("hourly", "Order flow by hour (FA1)", columns, tuple(rows), note, strong)


def sizes(report: dict[str, Any]) -> Table:
    """FA3: how large a print is."""
    rows = []
    for name, m in report["flow"]["sizes"].items():
        digits = 1 if name == "contracts" else 0
        rest = (number(m.get("median"), digits), number(m.get("p95"), digits), number(m["n"]))
        rows.append((name, m["unit"], measured(m, digits), *rest))
    columns = (
        *words("size", "unit"),
        Column("mean"),
        Column("median"),
        Column("95th percentile"),
        Column("n"),
    )
    notes = dict.fromkeys(m.get("note", "") for m in report["flow"]["sizes"].values())
    note = "; ".join(n for n in notes if n)
    return Table("sizes", "Average trade size (FA3)", columns, tuple(rows), note.capitalize())


def _with_error(x: dict[str, Any], digits: int) -> str:
    if x["value"] is None:
        return NA
    error = NA if x["se"] is None else number(x["se"], digits)
    return f"{number(x['value'], digits)} ± {error}"


def markouts(report: dict[str, Any]) -> Table:
    """FA6/FA7: what takers earned from our fills, and what was left for us."""
    rows = []
    for bound, m in report["flow"]["markouts"].items():
        if not m["horizons"]:
            rows.append((bound, f"{NA} ({m['note']})", *("",) * 9))
        for h in m["horizons"]:
            i = h["impact_bps"]
            rows.append(
                (bound, f"{h['horizon_s']} s", number(h["n"]), number(h["clusters"]),
                 _with_error(h["alpha_usd_per_share"], 4), number(h["alpha_usd_per_share"]["t"], 1),
                 _with_error(h["alpha_bps_of_mark"], 1),
                 _with_error(h["alpha_vol_points"], 3), _with_error(h["edge_usd_per_share"], 4),
                 number(i["permanent"], 1), number(i["temporary"], 1))
            )  # fmt: skip
    columns = (
        *words("world", "after"),
        Column("n"),
        Column("clusters"),
        Column("taker alpha", "USD / share"),
        Column("t"),
        Column("taker alpha", "bps of mark"),
        Column("taker alpha", "vol pt"),
        Column("our edge left", "USD / share"),
        Column("permanent", "bps"),
        Column("temporary", "bps"),
    )
    note = (
        "Our quote fills, delta-hedged at the fill, contract-weighted ± standard error clustered "
        "by spans of the horizon. Impact is not delta-hedged; permanent + temporary = half spread "
        "paid."
    )
    return Table("markouts", "After our fills (FA6, FA7)", columns, tuple(rows), note)


def flow_absent(report: dict[str, Any]) -> Table:
    """Flow rows that this run cannot give, each with its reason."""
    rows = tuple(
        (m["row"], name.replace("_", " "), measured(m))
        for name, m in report["flow"]["absent"].items()
    )
    return Table("flow-absent", "Not available", words("row", "", "value"), rows)


def quote_card(report: dict[str, Any]) -> Table:
    """The card as pairs of name and value."""
    c = report["quote_card"]
    if "instrument" not in c:
        rows: tuple[tuple[str, ...], ...] = (("Instrument", c["note"]),)
        return Table("quote-card", "Quote card", words("", "value"), rows)
    market = f"{number(c['market']['bid'], 2)} / {number(c['market']['ask'], 2)}"
    g = c["greeks_per_share"]
    rows = (
        ("Instrument (QM1)", c["instrument"]),
        ("Fair value (QM2), USD", f"{measured(c['fair_value'], 4)} ± {measured(c['confidence'])}"),
        ("Market bid / ask, USD", market),
        ("Inventory (QM3)", _inventory(c)),
        ("Our bid (QM4)", _side(c["bid"])),
        ("Our ask (QM5)", _side(c["ask"])),
        ("Our spread (QM6)", _spread(c["spread"])),
        ("Spread against history (QM6)", measured(c["spread"]["against_history"])),
        ("Greeks a share (QM7)",
         f"delta {number(g['delta'], 3)}, vega {number(g['vega_per_volpt'], 4)} USD / vol pt"),
        ("If our bid trades (QM7)", _exposure(c["if_bid_trades"])),
        ("If our ask trades (QM7)", _exposure(c["if_ask_trades"])),
        ("Limits used (QM8), tightest first", _headroom(c["headroom"])),
        ("Why the bid is where it is", "; ".join(c["bid"]["why"]) or "fair value less half width"),
        ("Why the ask is where it is", "; ".join(c["ask"]["why"]) or "fair value plus half width"),
    )  # fmt: skip
    title = f"Quote card at {c['at']}, {c['bound']}"
    note = (
        f"The day's most traded series ({number(c['printed_contracts'])} contracts), at its last "
        "print with both our sides live. Skew: against half our own width, as the unskewed half "
        "width is not recorded."
    )
    return Table("quote-card", title, words("", "value"), rows, note)


def _inventory(c: dict[str, Any]) -> str:
    held = f"{measured(c['inventory_lots'], 0)} contracts"
    if not c["inventory_limits"]:
        return f"{held}; % of limit {NA} (no limit in the configuration)"
    worst = c["inventory_limits"][0]
    return f"{held}; {percent(worst['share'], 2)} % of {limit_name(worst['limit'])}"


def _side(side: dict[str, Any]) -> str:
    if side["px"]["value"] is None:
        return measured(side["px"])
    skew = measured(side["skew_percent"], 0)
    return f"{measured(side['px'], 2)} USD x {side['lots']}, skew {skew} %"


def _spread(s: dict[str, Any]) -> str:
    if s["usd"]["value"] is None:
        return measured(s["usd"])
    of_value, points = short(s["percent"], 2), short(s["vol_points"], 2)
    return f"{measured(s['usd'], 2)} USD, {of_value} % of fair value, {points} vol pt"


def _exposure(e: dict[str, Any]) -> str:
    if e["delta_shares"]["value"] is None:
        return measured(e["delta_shares"])
    delta, vega = short(e["delta_shares"], 0), short(e["vega_usd_per_volpt"], 1)
    text = f"delta {delta} shares, vega {vega} USD / vol pt"
    if "book_delta_after" not in e:
        return text
    book = short(e["book_delta_after"], 0), short(e["book_vega_after"], 1)
    return f"{text}; book then {book[0]} shares, {book[1]} USD / vol pt"


def _headroom(rows: list[dict[str, Any]]) -> str:
    if not rows:
        return f"{NA} (no limit in the configuration)"
    return ", ".join(f"{limit_name(r['limit'])} {percent(r['share'], 2)} %" for r in rows)


def quality(report: dict[str, Any]) -> Table:
    """What the reader kept, and what it put aside and why."""
    q = report["data_quality"]
    rows = [
        ("events", number(report["events"])),
        ("rows read", number(q.get("rows"))),
        ("two-sided share, %", percent(q.get("two_sided_share"))),
    ]
    rows += [(f"quarantined: {k}", number(v)) for k, v in sorted(q["quarantined"].items())]
    rows += [("note", str(text)) for text in q.get("notes", ())]
    columns = (*words("", ""),)
    return Table("quality", "Data quality", columns, tuple(rows))


def provenance(report: dict[str, Any]) -> Table:
    """What this report can be traced to."""
    rows = [
        ("command", str(report["provenance"]["command"])),
        ("configuration", report["config_hash"]),
        ("data", report["data_hash"]),
        ("seed", str(report["seed"])),
    ]
    rows += [(f"journal, {b}", str(report["bounds"][b]["journal_hash"])) for b in worlds(report)]
    rows += [(name, str(v)) for name, v in sorted(report["provenance"]["versions"].items())]
    return Table("provenance", "Provenance", words("", "value"), tuple(rows))
