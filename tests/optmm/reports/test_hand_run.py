"""The small run, by pencil. Each number below is worked out in its comment, not copied from us.

Queue: buy 10 calls x 100 at 2.00 against a mark of 2.05; sell 500 shares at 99.99, mid 100.00.
After 300 s the mark is 2.10 and the spot 100.20 (delta 0.5); they close at 2.20 and 100.50.
Optimistic adds: sell the 10 calls at 2.30 against 2.25, spot 100.40; 2.15 and 100.30 after 300 s.
"""

import json

import polars as pl
import pytest

from optmm import reports

QUEUE = {
    "spread_capture": 50.0,  # 1000 x 0.05
    "adverse_selection": -50.0,  # 1000 x (0.05 - 0.5 x 0.20)
    "inventory_alpha": -50.0,  # 1000 x (0.10 + 0.10) - 500 x 0.50
    "hedging_costs": -5.0,  # -500 x 0.01
    "carry": 0.0,
    "fees": -11.5,  # 6.50 + 5.00
    "net": -66.5,
}
OPTIMISTIC = {
    "spread_capture": 100.0,  # twice 50
    "adverse_selection": 0.0,  # -50 - 1000 x (-0.10 + 0.5 x 0.10)
    "inventory_alpha": -50.0,  # -50 - 1000 x (0.05 - 0.05)
    "hedging_costs": -5.0,
    "carry": 0.0,
    "fees": -18.0,
    "net": 27.0,
}


@pytest.mark.parametrize(("bound", "lines"), [("queue", QUEUE), ("optimistic", OPTIMISTIC)])
def test_the_split_is_the_pencil_s(hand_report, bound, lines):
    got = hand_report["bounds"][bound]["pnl"]
    assert {k: got[k] for k in lines} == pytest.approx(lines, abs=1e-9)
    assert hand_report["bounds"][bound]["ledger_net"] == pytest.approx(lines["net"], abs=1e-9)


def test_the_identity_is_exactly_zero_in_every_world(hand_report):
    for world in hand_report["bounds"].values():
        assert world["identity_error"] == 0
        assert world["identity_error_60s"] == 0
        assert world["ledger_less_fills_e9"] == 0


def test_adverse_selection_at_60_s_has_its_own_horizon(hand_report):
    """1000 x (2.02 - 2.05 + 0.5 x 0.02) = -20; the sale gives -1000 x (2.24 - 2.25) = 10."""
    late = {b: w["pnl_60s"]["adverse_selection"] for b, w in hand_report["bounds"].items()}
    assert late == pytest.approx({"pessimistic": 0.0, "queue": -20.0, "optimistic": -10.0})


def test_a_corrupted_fill_shows_as_exactly_its_size(hand):
    """The engine's ledger saw 2.00; the file says 2.000000001: 10 x 100 x 1e-9 USD is missing."""
    fills = pl.read_parquet(hand / "fills.parquet")
    first = (pl.col("bound") == "queue") & (pl.col("seq") == 1)
    fills.with_columns(px_e9=pl.col("px_e9") + first.cast(pl.Int64)).write_parquet(
        hand / "fills.parquet"
    )
    world = reports.build(hand)["bounds"]["queue"]
    assert world["identity_error"] == 1000
    assert world["ledger_less_fills_e9"] == 1000


def test_a_sign_that_depends_on_the_assumption_is_said(hand_report):
    """-66.5 and +27.0; the world without a fill has no sign."""
    assert hand_report["headline"]["sign_differs"] is True
    assert "differs" in hand_report["headline"]["sign"]
    assert "cannot identify the level" in hand_report["headline"]["limits"]


def test_counts(hand_report):
    got = {b: (w["fills"], w["contracts"], w["hedges"]) for b, w in hand_report["bounds"].items()}
    assert got == {"pessimistic": (0, 0, 0), "queue": (1, 10, 1), "optimistic": (2, 20, 1)}


def test_risk_rows_by_hand(hand_report):
    """Peak 100 to -66.5; one round trip of 20 minutes; half of 10 lots over 10 held 380 of 390."""
    queue, both = (hand_report["bounds"][b]["risk"] for b in ("queue", "optimistic"))
    assert queue["max_drawdown_usd"]["value"] == pytest.approx(166.5)
    assert queue["max_drawdown"]["value"] == pytest.approx(100 * 166.5 / 10e6)
    assert queue["inventory_turnover"]["value"] == pytest.approx(0.5 * 10 * 390 / (10 * 380))
    assert both["trade_duration"]["value"] == pytest.approx(20.0)
    assert (both["win_rate"]["value"], both["win_rate"]["n"]) == (1.0, 1)


def test_what_one_day_cannot_give_says_why(hand_report):
    risk = hand_report["bounds"]["queue"]["risk"]
    assert risk["sharpe"]["value"] is None
    assert risk["sharpe"]["note"] == "needs 20 days, has 1"
    assert risk["profit_factor"]["value"] is None
    assert all(m["note"] for m in hand_report["flow"]["absent"].values())


def test_greeks_at_the_close(hand_report):
    """10 x 100 x (0.55, 0.09, 8.0 / 100, -7.3 / 365), less 500 shares."""
    g = hand_report["bounds"]["queue"]["greeks"]
    assert g["delta_shares"] == pytest.approx(50.0)
    assert g["option_delta_shares"] == pytest.approx(550.0)
    assert g["gamma_shares_per_usd"] == pytest.approx(90.0)
    assert g["vega_usd_per_volpt"] == pytest.approx(80.0)
    assert g["theta_usd_per_day"] == pytest.approx(-20.0)
    assert g["gamma_usd_per_pct"] == pytest.approx(90.0 * 100.5**2 / 100)


def test_a_position_without_greeks_makes_the_sums_absent_not_wrong(hand):
    rows = pl.read_parquet(hand / "greeks.parquet")
    rows.with_columns(gamma=pl.lit(float("nan"))).write_parquet(hand / "greeks.parquet")
    world = reports.build(hand)["bounds"]["queue"]
    assert world["greeks"]["gamma_shares_per_usd"] is None
    assert "gamma[0] is nan" in world["greeks"]["note"]
    assert world["risk"]["var"]["value"] is None
    reports.write(hand)


def test_theo_against_mid_is_worth_fifty_dollars(hand_report):
    """The mark is 2.20, the mid 2.15, the position ten contracts of a hundred."""
    marks = hand_report["closing_marks"]
    assert marks["bounds"]["queue"]["theo_less_mid_usd"] == pytest.approx(50.0)
    assert marks["series"] == {"mid": 1, "theo": 1}


def test_obligations_over_the_fixed_denominator(hand_report):
    """Two-sided 1000 and 600 of 1000 s each: 80 %, one series of two at target, 400 s no theo."""
    o = hand_report["obligations"]["bounds"]["queue"]
    assert (o["share"], o["met"], o["series"], o["series_at_target"]) == (0.8, False, 2, 1)
    assert [(r["reason"], r["seconds"], r["share"]) for r in o["absent"]] == [("no_theo", 400, 0.2)]


def test_refits_after_an_expiry_count_nowhere(hand, hand_report):
    rows = pl.read_parquet(hand / "surface.parquet")
    over = rows.tail(1).with_columns(
        ts_ns=pl.col("ts_ns") + 1, status=pl.lit("expired"), path=pl.lit("none")
    )
    pl.concat([rows, over]).write_parquet(hand / "surface.parquet")
    assert reports.build(hand)["surface"] == hand_report["surface"]


def test_surface_totals(hand_report):
    """9 + 5 of 20 quotes, 5 + 3 of 10 core quotes, one of two fits a fallback."""
    s = hand_report["surface"]
    assert (s["fits"], s["quotes"], s["hit_rate"], s["core_hit_rate"]) == (2, 20, 0.7, 0.8)
    assert (s["min_g"], s["fallback_share"]) == (0.4, 0.5)
    assert (s["calendar_margin"], s["calendar_margin_wings"]) == (1e-4, -2e-5)
    assert (s["calendar_violations"], s["calendar_violations_wings"]) == (0, 1)


def test_a_smile_without_variance_is_counted_though_it_has_no_least_g(hand):
    """A g of minus infinity used to vanish among the absent values."""
    rows = pl.read_parquet(hand / "surface.parquet")
    rows.with_columns(min_g=pl.Series([float("-inf"), 0.4])).write_parquet(hand / "surface.parquet")
    s = reports.build(hand)["surface"]
    assert (s["butterfly_violations"], s["min_g"]) == (1, 0.4)


def test_hourly_flow(hand_report):
    """Hour one: 20 at the ask and 10 given buys, 10 at the bid, a bar of 5 across the mid."""
    first, second = hand_report["flow"]["hourly"]
    assert (first["from"], first["prints"], first["contracts"]) == ("09:30", 4, 45)
    shares = [first[k] for k in ("buy_share", "sell_share", "unsigned_share")]
    assert shares == pytest.approx([30 / 45, 10 / 45, 5 / 45])
    assert (second["contracts"], second["sell_share"]) == (15, 1.0)


def test_print_sizes(hand_report):
    """20, 10, 5, 10, 15 contracts; premium of the straddling bar at the middle of its range."""
    sizes = hand_report["flow"]["sizes"]
    assert (sizes["contracts"]["value"], sizes["contracts"]["median"]) == (12.0, 10.0)
    premium = 100 * (20 * 2.2 + 10 * 2.0 + 5 * 2.1 + 10 * 2.0 + 15 * 2.05) / 5
    assert sizes["premium"]["value"] == pytest.approx(premium)


def test_markouts_of_our_fill(hand_report):
    """Alpha of whoever sold to us: 0.02 after 60 s, 0.05 after 300 s; one cluster, no error."""
    at60, at300 = hand_report["flow"]["markouts"]["queue"]["horizons"]
    assert at60["alpha_usd_per_share"]["value"] == pytest.approx(0.02)
    assert at300["alpha_usd_per_share"]["value"] == pytest.approx(0.05)
    assert at300["alpha_vol_points"]["value"] == pytest.approx(100 * 0.05 / 8.0)
    assert at300["alpha_usd_per_share"]["se"] is None
    assert at300["impact_bps"]["half_spread"] == pytest.approx(0.05 / 2.05 * 1e4)


def test_limits(hand_report):
    entry = hand_report["limits"]["queue"][0]
    assert (entry["limit"], entry["worst"], entry["of"]) == ("inventory_usd", 50_000.0, 10e6)
    assert entry["share"] == pytest.approx(0.005)
    assert entry["breached"] is False


def test_quote_card_without_a_quote_of_ours(hand_report):
    card = hand_report["quote_card"]
    assert card["instrument"] == "HND   240621C00100000 European x100 physical PM"
    assert card["bid"]["px"]["note"] == "no quote of ours was live on this side"
    assert card["inventory_lots"]["value"] == 10
    assert card["fair_value"]["value"] == 2.1


def test_quote_card_with_both_sides(hand):
    """Bid 2.06, ask 2.16 around 2.10: half width 0.05, so the bid is skewed -20 %, the ask 20."""
    manifest = json.loads((hand / "manifest.json").read_text())
    ts = manifest["session"]["open_ns"]
    quotes = pl.read_parquet(hand / "quotes.parquet")
    rows = [
        {
            "bound": "queue",
            "ts_ns": ts,
            "instrument": 0,
            "side": s,
            "px_e9": px,
            "lots": 7,
            "why": 32768,
        }
        for s, px in ((1, 2_060_000_000), (-1, 2_160_000_000))
    ]
    pl.DataFrame(rows, schema=quotes.schema).write_parquet(hand / "quotes.parquet")
    card = reports.build(hand)["quote_card"]
    assert card["bid"]["skew_percent"]["value"] == pytest.approx(-20.0)
    assert card["ask"]["skew_percent"]["value"] == pytest.approx(20.0)
    assert card["spread"]["usd"]["value"] == pytest.approx(0.10)
    assert card["spread"]["vol_points"]["value"] == pytest.approx(100 * 0.10 / 8.0)
    assert card["bid"]["why"] == ["moved by inventory"]
    assert card["if_bid_trades"]["delta_shares"]["value"] == pytest.approx(350.0)


def test_events_and_rate(hand_report):
    assert (hand_report["events"], hand_report["events_per_second"]) == (1000, 2000.0)
