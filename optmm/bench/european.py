"""Rows of implied vol and of Black with its Greeks: speed, ratio to the peers, accuracy."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from optmm.bench import exact, markets, peers, tables
from optmm.bench.exact import Exact
from optmm.bench.markets import Floats, Options
from optmm.bench.rows import PeerRow, Row, skipped
from optmm.bench.timing import race
from surfaces.pricing import black, implied

OURS = "optmm"
RIVALS = ("lbriv", "iv-engine")
SEVEN = ("price", "delta", "gamma", "vega", "theta", "rho", "vanna", "volga")
NS, RATIO = "ns/option", "x"
UNMEASURED = "not measured: needs --peers and the peer, see scripts/bench"
BY_HAND = "scipy"  # the formulas in numpy, written for the comparison; not a library for options
Installed = list[tuple[peers.Peer, ModuleType]]


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is drawn."""

    batches: tuple[int, ...]
    nasty: tuple[int, ...]
    exact: int

    @property
    def main(self) -> int:
        """The batch on which all peers are compared."""
        return self.batches[1]


FULL = Sizes((1_000, 10_000, 1_000_000), (1_000, 10_000, 100_000), 2_000)
QUICK = Sizes((1_000, 10_000, 100_000), (1_000, 10_000), 300)


def ours(it: Options, price: Floats) -> implied.ImpliedVol:
    """Our inversion of undiscounted prices."""
    return implied.vol(
        price=price, right=it.right, forward=it.forward, strike=it.strike, years=it.years
    )


def undiscounted(it: Options) -> Floats:
    """Prices that the inversions are given."""
    return np.asarray(
        black.price(
            right=it.right, forward=it.forward, strike=it.strike, years=it.years, vol=it.vol
        )
    )


def implied_speed(
    label: str,
    draw: Callable[[int], Options],
    batches: Iterable[int],
    floor: float,
    bar: float | None,
    installed: Installed,
    figures: dict[str, dict[str, float | None]],
) -> list[Row]:
    """Our nanoseconds over all batch sizes and the least ratio to each rival.

    `figures` receives every library's nanoseconds at each batch, under "<set>: <batch>".
    """
    speeds: dict[int, dict[str, float]] = {}
    for n in batches:
        it = draw(n)
        price = undiscounted(it)
        tasks: dict[str, Callable[[], Any]] = {OURS: lambda it=it, p=price: ours(it, p)}
        given = {OURS: n}
        for peer, lib in installed:
            few = min(n, peer.rows or n)
            job = peer.vols(lib, it.rows(slice(0, few)), price[:few])
            if job is not None:
                tasks[peer.name], given[peer.name] = job.call, few
        best = race(tasks)
        speeds[n] = {name: 1e9 * best[name] / given[name] for name in tasks}
        for name, ns in speeds[n].items():
            figures.setdefault(name, {})[f"implied vol, {label}, ns an option: {n:,}"] = ns
    return _speed_rows(f"implied vol, {label}", speeds, floor, bar)


def _speed_rows(
    what: str, speeds: dict[int, dict[str, float]], floor: float, bar: float | None
) -> list[Row]:
    """The slowest batch, and for each rival the batch where it comes closest."""
    each = ", ".join(f"{s[OURS]:.0f} at {n:,}" for n, s in speeds.items())
    rows = [Row(what, max(s[OURS] for s in speeds.values()), NS, bar, note=f"slowest of {each}")]
    for rival in RIVALS:
        ratios = {n: s[rival] / s[OURS] for n, s in speeds.items() if rival in s}
        said = f"{what}: {rival} / ours"
        if ratios:
            words = ", ".join(f"{r:.1f} at {n:,}" for n, r in ratios.items())
            rows.append(Row(said, min(ratios.values()), RATIO, floor, True, f"least of {words}"))
        else:
            rows.append(skipped(said, RATIO, floor, UNMEASURED))
    return rows


def relative_errors(vol: Floats, truth: Exact) -> Floats:
    """|vol / true - 1| with the true vol in two parts; NaN stays NaN."""
    with np.errstate(invalid="ignore"):
        return np.abs((vol - truth.vol) - truth.vol_rest) / truth.vol


def failures(error: Floats, truth: Exact) -> int:
    """How many are missing or wrong: off by more than 1e-6 and 100 times what is attainable."""
    with np.errstate(invalid="ignore"):
        return int(np.sum(~(error <= np.maximum(1e-6, 100.0 * truth.attainable))))


def implied_accuracy(
    sizes: Sizes, installed: Installed, figures: dict[str, dict[str, float | None]]
) -> list[Row]:
    """Errors on the table of hard cases and on sets drawn and solved in 70 digits here."""
    rows = _on_table(installed, figures)
    drawn = {"realistic": markets.realistic, "nasty": markets.nasty}
    for label, draw in drawn.items():
        it = draw(sizes.exact)
        said = f"{sizes.exact:,} {label}, 70 digits"
        rows += _judged(said, it, exact.black(it), installed, figures)
    return rows


def _on_table(installed: Installed, figures: dict[str, dict[str, float | None]]) -> list[Row]:
    found = tables.implied_cases()
    if found is None:
        return [skipped("implied vol on iv_cases", "", None, tables.MISSING)]
    options, truth, categories = found
    rows = _judged("iv_cases", options, truth, installed, figures)
    error = relative_errors(ours(options, truth.price).vol, truth)
    plain = np.array([name[0] in "AB" for name in categories])
    rows.append(
        Row("implied vol on iv_cases A, B: worst error", float(error[plain].max()),
            "relative", 5e-14)
    )  # fmt: skip
    return rows


def _judged(
    label: str,
    it: Options,
    truth: Exact,
    installed: Installed,
    figures: dict[str, dict[str, float | None]],
) -> list[Row]:
    """Failures and the worst error, ours as rows and everybody's in `figures`."""
    error = relative_errors(ours(it, truth.price).vol, truth)
    _note(figures, OURS, label, error, truth)
    for peer, lib in installed:
        solve = getattr(peer, "exact_vols", peer.vols)
        job = solve(lib, it, truth.price)
        if job is not None:
            _note(figures, peer.name, label, relative_errors(job.read(job.call()), truth), truth)
    return [
        Row(f"implied vol on {label}: failures", float(failures(error, truth)), "options", 0.0),
        Row(f"implied vol on {label}: worst error", float(np.max(error / truth.attainable)),
            "x attainable", 4.0),
    ]  # fmt: skip


def _note(
    figures: dict[str, dict[str, float | None]], name: str, label: str, error: Floats, truth: Exact
) -> None:
    with np.errstate(invalid="ignore"):
        over = error / truth.attainable
        mine = figures.setdefault(name, {})
        mine[f"implied vol on {label}: fails"] = float(failures(error, truth))
        mine[f"implied vol on {label}: > 4x"] = float(np.sum(~(over <= 4.0)))
        mine[f"implied vol on {label}: worst, x attainable"] = (
            float(np.nanmax(over)) if np.isfinite(over).any() else None
        )


def greeks(
    sizes: Sizes, installed: Installed, figures: dict[str, dict[str, float | None]]
) -> list[Row]:
    """Price and seven Greeks, every argument its own: speed, ratio, errors."""
    speeds: dict[int, dict[str, float]] = {}
    for n in sizes.batches:
        it = markets.realistic(n)
        tasks: dict[str, Callable[[], Any]] = {OURS: _general(it, np.empty((len(SEVEN), n)))}
        given = {OURS: n}
        for peer, lib in installed:
            few = min(n, peer.rows or n)
            job = peer.greeks(lib, it.rows(slice(0, few)))
            if job is not None:
                tasks[peer.name], given[peer.name] = job.call, few
        best = race(tasks)
        speeds[n] = {name: 1e9 * best[name] / given[name] for name in tasks}
        for name, ns in speeds[n].items():
            figures.setdefault(name, {})[f"price and Greeks, ns an option: {n:,}"] = ns
    each = ", ".join(f"{s[OURS]:.1f} at {n:,}" for n, s in speeds.items())
    what = "price + 7 Greeks, general"
    rows = [Row(what, max(s[OURS] for s in speeds.values()), NS, 35.0, note=f"slowest of {each}")]
    rows += _greek_ratio(f"{what}: fastest library / ours", speeds, {BY_HAND}, 3.0)
    libraries = {peer.name for peer in peers.SHELF} - {BY_HAND}
    rows += _greek_ratio(f"{what}: numpy and scipy by hand / ours", speeds, libraries, None)
    return rows + _greek_errors(sizes.exact, installed, figures)


def _greek_ratio(
    what: str, speeds: dict[int, dict[str, float]], without: set[str], bar: float | None
) -> list[Row]:
    """The least ratio over the batches to the quickest of the others; fewer Greeks count too."""
    ratios = {}
    for n, speed in speeds.items():
        others = {name: ns for name, ns in speed.items() if name not in {OURS, *without}}
        if others:
            name = min(others, key=others.__getitem__)
            ratios[n] = (others[name] / speed[OURS], name)
    if not ratios:
        return [skipped(what, RATIO, bar, UNMEASURED)]
    words = ", ".join(f"{ratio:.1f} ({name}) at {n:,}" for n, (ratio, name) in ratios.items())
    return [Row(what, min(r for r, _ in ratios.values()), RATIO, bar, True, f"least of {words}")]


def _general(it: Options, out: Floats) -> Callable[[], Any]:
    return lambda: black.greeks(
        right=it.right, forward=it.forward, strike=it.strike, years=it.years, vol=it.vol, df=it.df,
        which=SEVEN, out=out,
    )  # fmt: skip


def _greek_errors(
    n: int, installed: Installed, figures: dict[str, dict[str, float | None]]
) -> list[Row]:
    """Against 70 digits on realistic options: price in units of the forward, the rest relative."""
    it = markets.realistic(n, seed=7)
    truth = exact.black(it)
    out = np.empty((len(SEVEN), n))
    _general(it, out)()
    named = dict(zip(SEVEN, out, strict=True))
    rows = []
    for name, error in _errors(named, it, truth).items():
        figures.setdefault(OURS, {})[f"worst error: {name}"] = error
        unit, bar = ("x forward", 1e-15) if name == "price" else ("relative", 1e-12)
        rows.append(Row(f"{name}: worst error of {n:,}", error, unit, bar))
    for peer, lib in installed:
        job = peer.greeks(lib, it)
        if job is not None:
            for name, error in _errors(job.read(job.call()), it, truth).items():
                figures.setdefault(peer.name, {})[f"worst error: {name}"] = error
    return rows


def _errors(got: dict[str, Floats], it: Options, truth: Exact) -> dict[str, float]:
    """Worst errors of what there is of price, gamma and vega."""
    scale = {"price": it.forward, "gamma": truth.gamma, "vega": truth.vega}
    return {
        name: float(np.max(np.abs(got[name] / it.df - getattr(truth, name)) / scale[name]))
        for name in scale
        if name in got
    }


def invalid_quotes() -> list[Row]:
    """Bad quotes whose status is not the expected one."""
    from surfaces.errors import InvalidInput
    from surfaces.status import Status

    found = tables.read("iv_invalid_inputs.csv")
    what = "implied vol on bad quotes: wrong statuses"
    if found is None:
        return [skipped(what, "rows", 0.0, tables.MISSING)]
    expected = {
        "below_intrinsic": Status.BELOW_INTRINSIC,
        "negative": Status.BELOW_INTRINSIC,
        "at_intrinsic": Status.NO_VEGA,
        "zero_otm_price -> vol 0": Status.NO_VEGA,
        "at_max -> inf": Status.ABOVE_BOUND,
        "above_max": Status.ABOVE_BOUND,
    }
    wrong = 0
    for row in found:
        kind = row["expected_class"]
        names = {"price": "price", "forward": "F", "strike": "K", "years": "T"}
        args = {to: float(row[of]) for to, of in names.items()}
        try:
            status = int(implied.vol(right=row["flag"], **args).status)
        except InvalidInput:
            wrong += not kind.startswith("bad flag")
            continue
        fine = kind.startswith(("upper-case", "denormal"))
        wrong += status != (Status.OK if fine else expected.get(kind, Status.BAD_INPUT))
    return [Row(what, float(wrong), "rows", 0.0, note=f"{len(found)} rows")]


def peer_rows(
    missing: dict[str, str], figures: dict[str, dict[str, float | None]]
) -> list[PeerRow]:
    """One row a library, ours first; those that are missing say why."""
    rows = [PeerRow(OURS, peers.release_of(OURS), figures.get(OURS, {}))]
    for peer in peers.SHELF:
        said = missing.get(peer.name, "")
        it = figures.get(peer.name, {})
        if said or it:
            about = said or (f"its Greeks call: {peer.greeks_of}" if peer.greeks_of else "")
            rows.append(PeerRow(peer.name, peers.release_of(peer.name), it, about))
    return rows
