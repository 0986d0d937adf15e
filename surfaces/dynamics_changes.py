"""What the vols at the money of fixed expiry dates did between surfaces: rows for a regression.

    vol_change = vol(F', T) - carried(T),   log_move = ln(F'/F),   skew of the first surface

`carried` is what the first surface expects of the vol if nothing moves: (w_T - w_dt) over the time
left, w the total variance at the money on the surface's own clock (calendar time for a frame), so a
term structure that rolls down is not taken for a response to spot. Borrowed and stopgap curves are
left out.

Units   vols decimal, moves in ln, skew = dvol/dk at the forward, years ACT/365, `_ns` ns UTC.
Checked tests/surfaces/surface/test_dynamics_history.py.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from surfaces import checks as check
from surfaces.certificate import STOPGAPS
from surfaces.errors import InvalidInput
from surfaces.smiles.base import Array
from surfaces.units import NS_PER_YEAR

if TYPE_CHECKING:
    import polars as pl

    from surfaces.surface import VolSurface

COLUMNS = ("ts_ns", "expiry", "root", "years", "forward", "atm_vol", "skew", "path")


@dataclass(frozen=True, slots=True, eq=False)
class AtmChanges:
    """One row an expiry and a step, (n,), sorted by expiry and time.

    `step`: surfaces from the first to the second of a change; steps of more than one overlap.
    """

    expiry: NDArray[np.str_]  # name of the expiry, with its root
    start_ns: NDArray[np.int64]
    end_ns: NDArray[np.int64]
    years: Array  # to expiry at the start
    log_move: Array
    vol_change: Array
    skew: Array
    vol_error: Array  # one standard error of `vol_change` by the surfaces' own; NaN if unknown
    step: int = 1

    def __post_init__(self) -> None:
        check.count("step", self.step, 1, hint="One compares neighbouring surfaces.")
        n = len(self.expiry)
        for item in fields(self):
            value = getattr(self, item.name)
            if item.name != "step" and np.shape(value) != (n,):
                raise InvalidInput(
                    f"{item.name} has shape {np.shape(value)} and expiry ({n},): one row a change"
                )

    def __len__(self) -> int:
        return len(self.expiry)


@dataclass(frozen=True, slots=True)
class _Snapshot:
    """The vols of one instant by expiry, and the variance that `dt` years from it use up."""

    ts_ns: int
    rows: dict[str, tuple[float, float, float, float, float]]  # years, ln F, vol, skew, error
    spent: Callable[[float], float]


def of_surfaces(surfaces: Iterable["VolSurface"], *, step: int = 1) -> AtmChanges:
    """Changes between surfaces in order of time, `step` apart; expiries are matched by date, root.

    Raises
    ------
    InvalidInput
        Surfaces out of order, or `step` is below one.
    """
    return _changes([_of_surface(surface) for surface in surfaces], step)


def of_frame(frame: "pl.DataFrame", *, step: int = 1) -> AtmChanges:
    """Changes between the refits of a run, from its `surface.parquet` (docs/run_folder.md).

    The frame holds no errors of vols, so `vol_error` is NaN, and calendar time carries them.

    Raises
    ------
    InvalidInput
        A column is missing, or `step` is below one.
    """
    missing = [name for name in COLUMNS if name not in frame.columns]
    if missing:
        raise InvalidInput(f"frame lacks {', '.join(missing)}; give surface.parquet of a run")
    parts = frame.select(COLUMNS).sort("ts_ns", maintain_order=True)
    groups = parts.partition_by("ts_ns", maintain_order=True)
    return _changes([_of_rows(group) for group in groups], step)


def _of_surface(surface: "VolSurface") -> _Snapshot:
    chain, rows = surface.chain, {}
    for j in range(chain.slices):
        if surface.path[j] in STOPGAPS or chain.fixing_ns[j] <= surface.ts_ns:
            continue
        values = (
            float(surface.years[j]),
            float(np.log(surface.forwards[j])),
            float(surface.atm_vol[j]),
            float(surface.skew[j]),
            float(surface.error(j, np.zeros(1))[0]),
        )
        if np.isfinite(values[:4]).all():
            rows[f"{chain.expiry_labels[j]} {chain.roots[j]}".strip()] = values

    def spent(years: float) -> float:
        return float(surface.total_variance(0.0, years)) if years > 0.0 else 0.0

    return _Snapshot(surface.ts_ns, rows, spent)


def _of_rows(group: "pl.DataFrame") -> _Snapshot:
    rows = {}
    for _, expiry, root, years, forward, vol, skew, path in group.iter_rows():
        values = (years, forward, vol, skew)
        known = all(v is not None and np.isfinite(v) for v in values)
        if known and years > 0.0 and forward > 0.0 and path not in STOPGAPS:
            name = f"{expiry} {root or ''}".strip()
            rows[name] = (years, float(np.log(forward)), vol, skew, np.nan)
    at = np.array([[years, vol * vol * years] for years, _, vol, _, _ in rows.values()])
    at = at.reshape(-1, 2)[np.argsort(at.reshape(-1, 2)[:, 0], kind="stable")]
    nodes = np.concatenate(([[0.0, 0.0]], at))

    def spent(years: float) -> float:
        return float(np.interp(years, nodes[:, 0], nodes[:, 1]))

    return _Snapshot(int(group["ts_ns"][0]), rows, spent)


def _changes(snapshots: Sequence[_Snapshot], step: int) -> AtmChanges:
    step = check.count("step", step, 1, hint="One compares neighbouring surfaces.")
    stamps = [s.ts_ns for s in snapshots]
    for i, (a, b) in enumerate(pairwise(stamps)):
        if b <= a:
            raise InvalidInput(
                f"surfaces[{i + 1}] is of {b} ns, must be later than the one before, {a} ns. "
                "Sort them by time and give each instant once."
            )
    out = []
    for before, after in zip(snapshots[:-step], snapshots[step:], strict=True):
        spent = before.spent((after.ts_ns - before.ts_ns) / NS_PER_YEAR)
        for name, (years, x, vol, skew, error) in before.rows.items():
            if name not in after.rows:
                continue
            left, x1, vol1, _, error1 = after.rows[name]
            variance = vol * vol * years - spent
            if variance > 0.0:
                change = vol1 - np.sqrt(variance / left)
                sd = np.hypot(error, error1)
                stamp = (before.ts_ns, after.ts_ns)
                out.append((name, *stamp, years, x1 - x, change, skew, sd))
    out.sort(key=lambda row: row[:2])
    columns = list(zip(*out, strict=True)) if out else [()] * 8
    names, start, end, *numbers = columns
    time, move, change, slope, noise = (np.array(column, np.float64) for column in numbers)
    return AtmChanges(
        expiry=np.array(names, np.str_), start_ns=np.array(start, np.int64),
        end_ns=np.array(end, np.int64), years=time, log_move=move, vol_change=change, skew=slope,
        vol_error=noise, step=step,
    )  # fmt: skip
