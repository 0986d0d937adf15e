"""Local volatility: the diffusion whose European prices are a surface's, on a grid.

`LocalVol` holds vols on nodes of time and log-moneyness k = ln(S_t / F(0, t)). A node where the
surface admits no local vol is NaN and says why; nothing is clipped. Pricers take a grid without
NaN: `filled` makes one and counts what it replaced.

Units   years ACT/365; vol decimal per sqrt-year; k dimensionless.
Source  B. Dupire, Risk 7 (1994) 18-20, in total variance: J. Gatheral, The Volatility Surface
        (2006), eq. 1.10.
Checked tests/surfaces/local_vol/.
"""

import math
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from surfaces import checks as check
from surfaces.errors import InvalidInput

if TYPE_CHECKING:
    from surfaces.surface import VolSurface

Floats = NDArray[np.float64]
Policy = Literal["nearest", "linear"]

POLICIES = ("nearest", "linear")
PARTS = (0.0, 0.01, 0.03, 0.06, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)  # of a gap
BESIDE = 1e-6  # of the gap: how far the first node lies after the expiry before it
POINTS = 601  # default nodes in k
FAR = 5.0  # deviations of the last expiry that default nodes reach at least
FINE = 0.1  # of the first expiry's deviation: the spacing of default nodes at the forward


class Flag(IntEnum):
    """What is known of one node. The vol is NaN at codes up to UNDEFINED, a number after them."""

    OK = 0
    NEGATIVE_DENSITY = 1
    CALENDAR = 2
    UNDEFINED = 3
    OUT_OF_CERTIFICATE = 4
    EXTRAPOLATED = 5
    EVENT = 6
    STOPGAP = 7


BAD = (Flag.NEGATIVE_DENSITY, Flag.CALENDAR, Flag.UNDEFINED)

_WORDS = {
    Flag.OK: "",
    Flag.NEGATIVE_DENSITY: "negative density (g <= 0): a butterfly in the smile, no local vol",
    Flag.CALENDAR: "total variance does not rise with time at this k: a calendar arbitrage",
    Flag.UNDEFINED: "no curve here, or no density left in double precision: no local vol",
    Flag.OUT_OF_CERTIFICATE: "a number, but outside the strikes certified free of arbitrage",
    Flag.EXTRAPOLATED: "a number, but after the last expiry: its implied vols are held",
    Flag.EVENT: "a number, but an event's variance is spread over the gap between two expiries",
    Flag.STOPGAP: "a number, but no expiry has a curve of its own: all are borrowed or kept ones",
}


def words(flag: int) -> str:
    """What `flag` says of a node, in one sentence; empty for OK."""
    return _WORDS[Flag(flag)]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class LocalVol:
    """Local vols on a grid, linear in k and in years between nodes, flat outside; read-only.

    `years` (nt,) rising and > 0; `k` (nk,) rising, ln(S_t / F(0, t)); `vol` (nt, nk) decimal per
    sqrt-year, NaN at bad nodes; `flag` (nt, nk) uint8 codes of `Flag`; `replaced`: bad nodes that
    `filled` gave a vol, whose flags stay.

    Between nodes the vol, not its square, is linear. A vol that jumps in time is two nodes close
    to one another, one on each side.
    """

    years: Floats
    k: Floats
    vol: Floats
    flag: NDArray[np.uint8]
    replaced: int = 0

    def __post_init__(self) -> None:
        made = {"years": _axis("years", self.years), "k": _axis("k", self.k)}
        if made["years"][0] <= 0.0:
            raise InvalidInput(
                f"years[0] is {made['years'][0]:g}, must be > 0. The first row holds from now on."
            )
        shape = made["years"].size, made["k"].size
        vol = np.array(check.numbers("vol", self.vol))
        flag = np.array(self.flag)
        if vol.shape != shape or flag.shape != shape:
            raise InvalidInput(
                f"vol has shape {vol.shape} and flag {flag.shape}, must be (years, k), {shape}"
            )
        known = flag.dtype.kind in "iuf" and np.isin(flag, list(Flag))
        if not np.all(known):
            i, j = np.unravel_index(int(np.argmin(known)), shape) if np.ndim(known) else (0, 0)
            raise InvalidInput(
                f"flag[{i}, {j}] is {flag[i, j]!s:.40}, must be a code of Flag, 0 to {max(Flag)}. "
                "Give zeros for a grid that is good everywhere."
            )
        bad = ~((vol > 0.0) & (vol < np.inf))
        wrong = bad & ~_is_bad(flag)
        if wrong.any():
            i, j = np.unravel_index(int(np.argmax(wrong)), shape)
            raise InvalidInput(
                f"vol[{i}, {j}] is {vol[i, j]:g} and not flagged, must be finite and > 0 "
                f"({int(wrong.sum())} of {vol.size} fail). Give a bad node NaN and a flag."
            )
        vol[bad] = np.nan
        made |= {"vol": vol, "flag": flag.astype(np.uint8)}
        for name, value in made.items():
            value.setflags(write=False)
            object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        said = "".join(f", {n} {Flag(f).name}" for f, n in self.counts().items() if f)
        filled = f", {self.replaced} replaced" if self.replaced else ""
        (nt, nk), t, k = self.vol.shape, self.years, self.k
        return (
            f"<LocalVol {nt} x {nk} nodes, years {t[0]:.3g} to {t[-1]:.3g}, k {k[0]:.3g} to "
            f"{k[-1]:.3g}{said}{filled}>"
        )

    def counts(self) -> dict[int, int]:
        """How many nodes have each flag that occurs."""
        codes, n = np.unique(self.flag, return_counts=True)
        return dict(zip(codes.tolist(), n.tolist(), strict=True))

    def why(self) -> dict[str, int]:
        """How many nodes are not OK, by what their flag says; empty when all are."""
        return {words(code): n for code, n in self.counts().items() if code != Flag.OK}

    @property
    def bad(self) -> NDArray[np.bool_]:
        """Nodes without a local vol of their own, (nt, nk): NaN, or replaced by `filled`."""
        return _is_bad(self.flag)

    def at(self, k: ArrayLike, years: ArrayLike) -> Floats:
        """Local vol at `k` and `years` (>= 0), which broadcast; NaN where a node beside is."""
        k = check.finite("k", k, unit="", hint="k is ln(S_t / F(0, t)).")
        years = check.at_least("years", years, 0.0, unit="years", hint="Time from now on.")
        k, years = check.together(k=k, years=years)
        i, right = _place(self.k, k)
        j, later = _place(self.years, years)
        v = self.vol
        low = _mix(v[j, i], v[j, np.minimum(i + 1, self.k.size - 1)], right)
        j = np.minimum(j + 1, self.years.size - 1)
        high = _mix(v[j, i], v[j, np.minimum(i + 1, self.k.size - 1)], right)
        return _mix(low, high, later)

    def __call__(self, k: ArrayLike, years: ArrayLike) -> Floats:
        """As `at`."""
        return self.at(k, years)

    def filled(self, policy: Policy = "nearest") -> "LocalVol":
        """A copy without NaN; flags stay and `replaced` counts the nodes given a vol.

        `policy`: "nearest" takes the nearest good node of the same time (the lower k of two as
        near); "linear" goes straight between the good nodes on both sides, flat past the last. A
        time without any good node takes the nearest time that has one, the earlier of two as near.

        Raises InvalidInput for another policy, or if no node is good.
        """
        if policy not in POLICIES:
            raise InvalidInput(f"policy is {policy!r}, must be one of {', '.join(POLICIES)}")
        good = np.isfinite(self.vol)
        if good.all():
            return self
        if not good.any():
            raise InvalidInput(
                f"none of {good.size} nodes has a local vol; see why(), and mend the surface"
            )
        vol = self.vol.copy()
        rows = np.flatnonzero(good.any(axis=1))
        for i in rows.tolist():
            at = self.k[good[i]]
            if policy == "linear":
                vol[i] = np.interp(self.k, at, self.vol[i, good[i]])
            else:
                vol[i] = self.vol[i, good[i]][_nearest(at, self.k)]
            vol[i, good[i]] = self.vol[i, good[i]]
        vol = vol[rows][_nearest(self.years[rows], self.years)]
        return replace(self, vol=vol, replaced=self.replaced + int((~good).sum()))

    def complete(self) -> "LocalVol":
        """This grid, or raise: a pricer cannot use NaN, and does not choose what replaces it."""
        missing = np.isnan(self.vol)
        if missing.any():
            count = self.counts()
            said = "; ".join(f"{count[f]} x {words(f)}" for f in BAD if f in count)
            raise InvalidInput(
                f"local_vol has {int(missing.sum())} of {missing.size} nodes without a vol "
                f"({said}). Choose what replaces them: local_vol.filled('nearest') or 'linear'."
            )
        return self


def dupire_of(
    *, k: ArrayLike, w: ArrayLike, w_k: ArrayLike, w_kk: ArrayLike, w_T: ArrayLike
) -> tuple[Floats, NDArray[np.uint8]]:
    """Local vol and flags from total variance and its derivatives; all arguments broadcast.

    vol^2 = w_T / g, with Durrleman's g(k, w, w_k, w_kk) and w_T the derivative of w in years at
    fixed k. NaN and CALENDAR where w_T <= 0, else NaN and NEGATIVE_DENSITY where g <= 0; NaN and
    UNDEFINED where an argument is not finite or w <= 0.
    """
    from surfaces.arbitrage import durrleman

    given = {"k": k, "w": w, "w_k": w_k, "w_kk": w_kk, "w_T": w_T}
    k, w, w_k, w_kk, w_T = check.together(**{n: check.numbers(n, a) for n, a in given.items()})
    with np.errstate(all="ignore"):
        g = durrleman(k, w, w_k, w_kk)
        known = np.isfinite(g) & np.isfinite(w_T) & (w > 0.0)
        vol = np.sqrt(w_T / g)
    flag = np.zeros(w.shape, np.uint8)
    flag[~(g > 0.0)] = Flag.NEGATIVE_DENSITY
    flag[~(w_T > 0.0)] = Flag.CALENDAR
    flag[~known] = Flag.UNDEFINED
    return np.where(flag == Flag.OK, vol, np.nan), flag


def dupire(
    surface: "VolSurface", years: ArrayLike | None = None, k: ArrayLike | None = None
) -> LocalVol:
    """Dupire's local vol of a fitted surface, from the analytic derivatives of its smiles.

    Between expiries, and from now (w = 0) to the first, total variance is linear in calendar time
    at equal k; after the last its implied vols are held. So w_T jumps at every expiry, and a node
    at an expiry belongs to the time before it. Only in the calendar's time do local vols exist at
    every instant: what the surface's clock puts into an event, or takes from a weekend, is spread
    evenly over the gap between two expiries, and the nodes of a gap with an event say EVENT. At the
    expiries themselves nothing changes by that.

    Expiries whose curve is a stopgap (`certificate.STOPGAPS`: too few quotes for a smile, borrowed,
    kept from before) are left out, and their gap goes from the expiry before to the one after. If
    there is no other, they are all there is, and every node says STOPGAP.

    Parameters
    ----------
    years : nodes, > 0 and rising; by default fifteen in each gap, the first just after the
        expiry before it, the last at the expiry
    k : nodes, rising; by default 601, from FINE of the first expiry's deviation apart at the
        forward to five deviations of the last and all that is quoted

    Raises
    ------
    InvalidInput
        Where no expiry holds a curve, or nodes are not rising.
    """
    from surfaces import term
    from surfaces.certificate import STOPGAPS
    from surfaces.smiles.base import SMILES, CurveStack

    surface = term.own_curves(surface)
    slices = term.live_slices(surface)
    if slices.size == 0:
        raise InvalidInput("no expiry holds a curve, so there is no local vol; see surface.status")
    at = np.concatenate(([0.0], surface.years[slices]))
    years = gap_times(at) if years is None else _axis("years", years)
    k = _strikes(surface, slices) if k is None else _axis("k", k)
    models = [SMILES[surface.models[j]] for j in slices]
    stack = CurveStack.of_curves(models, [surface.thetas[j] for j in slices])
    curves = stack.derivatives(np.arange(slices.size), np.tile(k, (slices.size, 1)))
    w, w1, w2 = (np.concatenate((np.zeros((1, k.size)), c)) for c in curves)
    last = slices.size
    i = np.minimum(np.searchsorted(at, years), last)  # the expiry that each time leads to
    before = np.where(years > at[-1], 0, i - 1)
    gap = at[i] - at[before]
    share = ((years - at[before]) / gap)[:, None]
    now = [(1.0 - share) * c[before] + share * c[i] for c in (w, w1, w2)]
    vol, flag = dupire_of(
        k=k, w=now[0], w_k=now[1], w_kk=now[2], w_T=(w[i] - w[before]) / gap[:, None]
    )
    remark = np.zeros(flag.shape, np.uint8)
    remark[_eventful(surface, slices)[i - 1]] = Flag.EVENT
    remark[years > at[-1]] = Flag.EXTRAPOLATED
    low, high = surface.certificate.reach[slices].T
    inside = (k >= low[:, None]) & (k <= high[:, None])  # false where a slice is not certified
    remark[~(inside[i - 1] & inside[np.maximum(i - 2, 0)])] = Flag.OUT_OF_CERTIFICATE
    if all(surface.path[j] in STOPGAPS for j in slices):
        remark[:] = Flag.STOPGAP
    return LocalVol(years, k, vol, np.where(flag == Flag.OK, remark, flag))


def gap_times(at: Floats) -> Floats:
    """Default nodes: `PARTS` of every gap between the times `at`, the first just after it opens."""
    parts = np.array(PARTS)
    parts[0] = BESIDE
    nodes = at[:-1, None] + parts * np.diff(at)[:, None]
    nodes[:, -1] = at[1:]
    return np.asarray(nodes.ravel())


def _strikes(surface: "VolSurface", slices: NDArray[np.int64]) -> Floats:
    """Default nodes in k: even in asinh(k / scale), so that they spread with the expiries."""
    from surfaces.smiles.base import EDGE

    width = surface.atm_vol[slices] * np.sqrt(surface.years[slices])
    quoted = surface.quoted_range[slices]
    low = min(np.nanmin(EDGE * quoted[:, 0], initial=0.0), -FAR * width[-1])
    high = max(np.nanmax(EDGE * quoted[:, 1], initial=0.0), FAR * width[-1])
    return spread_nodes(low, high, FINE * float(width.min()), POINTS)


def spread_nodes(low: float, high: float, step: float, points: int) -> Floats:
    """Nodes from low < 0 to high > 0, even in asinh(k / scale): `step` apart at zero, which is one
    of them, and ever further apart away from it; even where `step` is not smaller than that."""
    scale = step
    for _ in range(60):  # the spacing at zero is scale x the step in asinh
        across = (math.asinh(high / scale) - math.asinh(low / scale)) / (points - 1)
        scale, before = min(step / across, 1e3 * (high - low)), scale
        if abs(scale - before) <= 1e-6 * scale:
            break
    ends = math.asinh(low / scale), math.asinh(high / scale)
    nodes = scale * np.sinh(np.linspace(*ends, points))
    nodes[np.argmin(np.abs(nodes))] = 0.0
    return np.asarray(nodes)


def stencil(k: Floats) -> tuple[Floats, Floats]:
    """Moneyness x of nodes in k, and (3, n): x^2/2, the second difference's weights left and right,
    zero at both ends."""
    x = np.exp(k)
    h = np.diff(x)
    grid = np.zeros((3, x.size))
    grid[0] = 0.5 * x * x
    grid[1, 1:-1] = 2.0 / (h[:-1] * (h[:-1] + h[1:]))
    grid[2, 1:-1] = 2.0 / (h[1:] * (h[:-1] + h[1:]))
    return x, grid


def _eventful(surface: "VolSurface", slices: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether the surface's clock has an event in the gap that leads to each of `slices`."""
    ends = surface.chain.fixing_ns[slices]
    starts = np.concatenate(([surface.ts_ns], ends[:-1]))
    return np.asarray(surface.clock.event_variance(starts, ends)) > 0.0


def _is_bad(flag: NDArray) -> NDArray[np.bool_]:
    return np.asarray((flag >= BAD[0]) & (flag <= BAD[-1]))


def _axis(name: str, values: ArrayLike) -> Floats:
    """A rising axis, copied."""
    out = np.array(check.finite(name, values, unit="", hint="Nodes of the grid."))
    if out.ndim != 1 or not out.size or np.any(np.diff(out) <= 0.0):
        raise InvalidInput(f"{name} has shape {out.shape}, must be one rising row of nodes")
    return out


def _place(nodes: Floats, at: Floats) -> tuple[NDArray[np.int64], Floats]:
    """The node at or before each of `at`, and the share of the way to the next; flat outside."""
    i = np.clip(np.searchsorted(nodes, at, side="right") - 1, 0, max(nodes.size - 2, 0))
    if nodes.size == 1:
        return i, np.zeros(at.shape)
    return i, np.clip((at - nodes[i]) / (nodes[i + 1] - nodes[i]), 0.0, 1.0)


def _mix(a: Floats, b: Floats, share: Floats) -> Floats:
    """Straight from a to b; an end alone where the share is all of one, lest NaN cross over."""
    out = np.where(share <= 0.0, a, np.where(share >= 1.0, b, (1.0 - share) * a + share * b))
    return np.asarray(out)


def _nearest(nodes: Floats, at: Floats) -> NDArray[np.int64]:
    """Which of rising `nodes` is nearest to each of `at`; the first of two as near."""
    after = np.clip(np.searchsorted(nodes, at), 0, nodes.size - 1)
    before = np.maximum(after - 1, 0)
    return np.where(at - nodes[before] <= nodes[after] - at, before, after)
