"""SPX of 11 November 2024 against the bars: hits, unseen strikes, certificate, referee."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from optmm.bench import ceiling
from optmm.bench.rows import Row, skipped
from optmm.bench.surface_hits import (
    NONE,
    POINTS,
    Expiry,
    Share,
    broken,
    certificate_of,
    read_chain,
    shares,
    unseen,
)
from surfaces.smiles.mixture import fit_joint

FILE = Path("reference/surfaces/spx_20241111_otm_quotes.csv")


def run(data: Path, say: Callable[[str], None], *, referee: bool = True) -> list[Row]:
    """Every row; `referee` also asks the linear program, about half a minute."""
    path = data / FILE
    if not path.is_file():
        return [skipped("SPX 2024-11-11", "%", None, f"no {FILE} in the data folder")]
    book = read_chain(path)
    say("SPX 2024-11-11: clean expiries, all strikes and every second one")
    rows = clean_rows([e for e in book if e.clean])
    say("SPX 2024-11-11: all expiries")
    return rows + whole_rows(book, say, referee)


def clean_rows(book: Sequence[Expiry]) -> list[Row]:
    """Hits of the clean expiries with the certificate, and of the strikes held back."""
    quotes = [e.priced() for e in book]
    years = np.array([e.years for e in book])
    fit = fit_joint(quotes)
    every, core = shares(book, fit)
    failed, wings = broken(certificate_of(quotes, years, fit))
    held_every, held_core, held_failed, held_wings = _held_back(book, years)
    label = f"SPX 2024-11-11, {len(book)} clean expiries"
    return [
        _share(f"{label}: inside the spread", every, 99.0),
        _share(f"{label}: core", core, 99.5),
        _share(f"{label}: unseen strikes", held_every, 97.0),
        _share(f"{label}: unseen strikes, core", held_core, None),
        Row(f"{label}: expiries not certified on common strikes", failed, "", 0.0,
            note=f"g and calendar on {POINTS:,} points a slice and a pair, the fit to every quote"),
        Row(f"{label}: pairs that fail on 1.3 x the union", wings, "", 0.0,
            note="with none, the harder bars of 97, 99 and 95 % are met as well"),
        Row(f"{label}: either of them, fits to half of the quotes", held_failed + held_wings, "",
            0.0),
    ]  # fmt: skip


def _held_back(book: Sequence[Expiry], years: np.ndarray) -> tuple[Share, Share, int, int]:
    """Unseen hits of both halves together, and what their certificates miss."""
    every = core = NONE
    failed = wings = 0
    for first in (0, 1):
        half = [e.priced(slice(first, None, 2)) for e in book]
        fit = fit_joint(half)
        some, near = unseen(book, first, fit)
        every, core = every + some, core + near
        lost, far = broken(certificate_of(half, years, fit))
        failed, wings = failed + lost, wings + far
    return every, core, failed, wings


def whole_rows(book: Sequence[Expiry], say: Callable[[str], None], referee: bool) -> list[Row]:
    """All expiries, those with merged settlement classes too, beside the best there is."""
    quotes = [e.priced() for e in book]
    fit = fit_joint(quotes)
    every, core = shares(book, fit)
    failed, wings = broken(certificate_of(quotes, np.array([e.years for e in book]), fit))
    label = f"SPX 2024-11-11, all {len(book)} expiries"
    rows = [
        _share(f"{label}: inside the spread", every, None),
        _share(f"{label}: core", core, None),
        Row(f"{label}: not certified on common strikes", failed, "", 0.0),
        Row(f"{label}: pairs that fail on 1.3 x the union", wings, ""),
    ]
    if not referee:
        return rows
    priced = [
        ceiling.PricedQuotes(q.k, q.bid, q.ask, e.width) for q, e in zip(quotes, book, strict=True)
    ]
    best = []
    for t, one in enumerate(priced):
        say(f"SPX 2024-11-11: linear program {t + 1} of {len(priced)}")
        best += ceiling.ceilings([one])
    top = Share(sum(c.hits for c in best), every.quotes)
    worst = min(
        zip(book, fit.theta, best, strict=True),
        key=lambda it: int(it[0].inside(it[1]).sum()) - it[2].hits,
    )
    lost = worst[2].hits - int(worst[0].inside(worst[1]).sum())
    note = (
        f"the linear program reaches {top.percent:.2f} % ({sum(not c.proven for c in best)} "
        f"expiries without a proof); most is lost in {worst[0].label}: {lost} of "
        f"{worst[0].k.size} quotes"
    )
    return [*rows, Row(f"{label}: points below the linear program", top.percent - every.percent,
                       "points", 1.0, note=note)]  # fmt: skip


def _share(what: str, share: Share, bar: float | None) -> Row:
    return Row(what, share.percent, "%", bar, True, note=f"{share.hits} of {share.quotes} quotes")
