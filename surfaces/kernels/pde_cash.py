"""Options on a share that pays cash dividends: the segments between ex-dates, and the jumps.

The share is lognormal between ex-dates and loses, at one, first a proportional part and then
min(cash, what is left). Going back in time the option's value is carried along the heat equation of
`surfaces.kernels.pde` and mapped at each ex-date; just before it an American option is worth at
least what exercise pays, which is when calls are exercised.

Each segment has its own grid: what spot can reach by the segment's end, cut to where the strike is
still felt. Spot is a node of the last one, so nothing is interpolated at the end, and errors vary
smoothly with strike. Two grids, the second half as wide in space and time, are extrapolated.

`times`, `cash`, `part` hold the schedule: ex-dates in years (ascending), USD, share of spot. One
counts when it lies after now and not after expiry.
"""

import math
from typing import NamedTuple

import numba as nb

from surfaces.kernels.american import regime, sure_value
from surfaces.kernels.pde import (
    SIGNLESS,
    Contract,
    Grid,
    between,
    fill_nodes,
    fill_rounded,
    fill_start,
    march,
)

TINY = 1e-5  # sigma sqrt(T) below which only the moment of exercise matters, not chance
AT_EXPIRY = 4e-5  # share of the life: an ex-date this close to expiry counts as at expiry
ROOM = 12.0  # spacings kept on either side of spot
GROWTH = 0.2  # a dtau is at most 1 / (2 GROWTH steps), so that e^y grows as it should
START = 0.5  # lambda of the closed form that stands for the first step


class Plan(NamedTuple):
    """Constants of one accuracy; they describe the coarser of the two grids."""

    h: float  # spacing in units of sigma sqrt(T)
    steps: float  # time steps for a life without dividends; a segment gets (its share)^0.6 of them
    reach: float  # deviations that spot is followed for
    felt: float  # deviations around the strike beyond which an option is a forward or nothing
    most: int  # nodes at most
    widest: float  # spacing in ln S at most, which matters where sigma sqrt(T) is huge


@nb.njit(cache=True, error_model="numpy")
def live_range(T, times):
    """(first, last): the rows of the schedule with 0 < time <= T are times[first:last]."""
    first = 0
    while first < times.size and times[first] <= 0.0:
        first += 1
    last = first
    while last < times.size and times[last] <= T:
        last += 1
    return first, last


@nb.njit(cache=True, error_model="numpy")
def sure_cash(w, S, K, T, r, q, times, cash, part, american):
    """Value if spot grew surely: the best moment of exercise, or expiry alone; the limit vol -> 0.

    Two signs of rate or yield may have a best moment inside a segment; `sure_value` finds it.
    """
    first, last = live_range(T, times)
    best, now, s = 0.0, 0.0, S
    for i in range(first, last + 1):
        end = times[i] if i < last else T
        length = end - now
        if american:
            best = max(best, math.exp(-r * now) * sure_value(w, s, K, length, r, q))
        s *= math.exp((r - q) * length)
        if i < last:
            s = max(s * (1.0 - part[i]) - cash[i], 0.0)
        now = end
    return max(best, math.exp(-r * T) * w * (s - K), 0.0)


@nb.njit(cache=True, error_model="numpy", fastmath=SIGNLESS)
def reachable(c, x, first, k, end, dx, times, cash, part, reach):
    """(low, high) of y that spot may reach by `end`, past the ex-dates first..k-1; cash per K."""
    y = x + (c.r - c.q - 0.5 * c.sigma * c.sigma) * c.T
    half = max(reach * c.sigma * math.sqrt(end), ROOM * dx)
    kept, gone = 1.0, 0.0
    for i in range(first, k):
        kept *= 1.0 - part[i]
        gone = gone * (1.0 - part[i]) + cash[i] * math.exp(-(c.r - c.q) * times[i])
    most, least = math.exp(x + half) * kept - gone, math.exp(x - half) * kept - gone
    high = math.log(max(most, 1e-12)) + y - x
    low = math.log(least) + y - x if least > 1e-12 else -1e9
    return min(low, high - 2.0 * ROOM * dx), high


@nb.njit(cache=True, error_model="numpy", fastmath=SIGNLESS)
def felt_range(c, left, k, last, cash, part, felt):
    """(low, high) of y where, with `left` years to go, neither forward nor nothing; cash per K."""
    drift = (c.r - c.q - 0.5 * c.sigma * c.sigma) * left
    wide = min(felt * c.sigma * math.sqrt(left), 500.0)
    kept, due = 1.0, 0.0
    for i in range(k, last):
        kept *= 1.0 - part[i]
        due += cash[i]
    high = math.log(math.exp(wide - min(drift, 0.0)) / kept + due) + drift
    return min(drift, 0.0) - wide, high


@nb.njit(cache=True, error_model="numpy", fastmath=SIGNLESS)
def segment_grid(c, x, first, k, last, begin, end, fresh, times, cash, part, plan):
    """(grid, spot's node) for the segment from `begin` to `end`, years from now.

    `fresh` says that it ends at expiry. The node of spot means something in the first segment.
    """
    dx = min(plan.h * c.sigma * math.sqrt(c.T), plan.widest)
    # a kink left at an ex-date must not look sharp from where spot is now
    dx = min(dx, 4.0 * plan.h * c.sigma * math.sqrt(end))
    if not fresh:  # no coarser than what a dividend close to expiry leaves of the kink
        dx = min(dx, c.sigma * math.sqrt(c.T - end))
    elif k > first or not c.plain:
        dx = min(dx, 4.0 * plan.h * c.sigma * math.sqrt(c.T - begin))
    low, high = reachable(c, x, first, k, end, dx, times, cash, part, plan.reach)
    bottom, top = felt_range(c, c.T - begin, k, last, cash, part, plan.felt)
    room = 2.0 * ROOM * dx
    for i in range(k, last):  # spot that cannot pay a dividend is felt too, if it is in reach
        broke = math.log(cash[i]) if cash[i] > 0.0 else -1e9
        if broke > low:
            bottom = min(bottom, broke - room)
    high, low = min(high, max(top, low + room)), max(low, min(bottom, high - room))
    y = x + (c.r - c.q - 0.5 * c.sigma * c.sigma) * c.T
    if k == first:
        high, low = max(high, y + 0.5 * room), min(low, y - 0.5 * room)
    n = math.ceil((high - low) / dx)
    if n > plan.most:
        n = plan.most
        dx = (high - low) / n
    y0 = high if c.w > 0.0 else low
    node = 0
    if k == first:
        node = math.floor(c.w * (y0 - y) / dx + 0.5)
        y0 = y + c.w * node * dx
    return Grid(n, y0, dx), node


@nb.njit(cache=True, error_model="numpy", fastmath=SIGNLESS)
def fill_mapped(c, old, held, edge, slope, tau, paid, keep, new, u, E, v):
    """Value just before an ex-date, without exercise there, at the nodes of `new`.

    u lives on `old`, exercised up to node number `edge` if `held` is not 0; E is e^y on `new`.
    Returns (node number where spot is only just worth the dividend, how the slope changes there),
    -1 if nowhere.
    """
    a = 0.5 * c.sigma * c.sigma
    drift = (c.r - c.q - a) * tau
    A, grow, back = math.exp(c.r * tau), math.exp(a * tau), math.exp(-drift)
    start = math.exp(old.y0)
    worthless = 0.0
    if c.w < 0.0:
        worthless = max(1.0, A) if c.american else 1.0
    for i in range(new.n + 1):
        after = E[i] * back * keep - paid
        if after <= 1e-300:
            v[i] = worthless
            continue
        z = c.w * (old.y0 - math.log(after) - drift) / old.dx
        if held > 0 and z < edge:
            v[i] = c.w * (after - 1.0) * A
        elif z < 0.0:
            value = u[0] + slope * (after / back - start) * grow
            if c.american:
                value = max(value, c.w * (after - 1.0) * A)
            v[i] = min(value, worthless) if c.w < 0.0 else value
        else:
            v[i] = u[old.n] if z >= old.n else between(u, old.n, z)
    if c.w > 0.0 or paid <= 0.0:
        return -1.0, 0.0
    fall = A if held > 0 else abs(slope) * grow / back
    return (math.log(paid / keep) + drift - new.y0) / new.dx, -fall * paid * new.dx


@nb.njit(cache=True, error_model="numpy", fastmath=SIGNLESS)
def exercise(c, n, tau, E, v, g):
    """Take what exercise pays where it is more; returns the first node that waits, 0 for none.

    Where the two cross, v has a kink; it is located on their smooth difference and rounded.
    """
    A, C = math.exp(c.r * tau), math.exp((c.q + 0.5 * c.sigma * c.sigma) * tau)
    first = 0
    for i in range(n + 1):
        paid = c.w * (E[i] * C - A)
        g[i] = v[i] - paid
        if paid > 0.0 and g[i] <= 0.0:
            first = i + 1
            v[i] = paid
    if first < 2 or first >= n:
        return first
    low, high = g[first - 1], g[first]
    rise = high - low
    bend = 0.25 * (g[first + 1] - high - low + g[first - 2])
    t = low / (low - high)
    for _ in range(3):
        t -= (low + rise * t - bend * t * (1.0 - t)) / (rise - bend * (1.0 - 2.0 * t))
    if 0.0 <= t <= 1.0:
        fill_rounded(n, first - 1 + t, rise - bend * (1.0 - 2.0 * t), v)
    return first


@nb.njit(cache=True, error_model="numpy")
def at_expiry(c, first, last, times, cash, part):
    """(ex-dates left, strike, share) once those at expiry are part of the payoff; cash per K.

    share (S - strike) is what S is worth after them; an American call is exercised before them.
    """
    cut = last
    while cut > first and c.T - times[cut - 1] < AT_EXPIRY * c.T:
        cut -= 1
    kept, due = 1.0, 0.0
    if not (c.american and c.w > 0.0):
        for i in range(cut, last):
            kept *= 1.0 - part[i]
            due = due * (1.0 - part[i]) + cash[i]
    return cut, (1.0 + due) / kept, kept


@nb.njit(cache=True, error_model="numpy")
def fill_jet(c, x, n, node, held, u, jet):
    """V and four derivatives in ln S at spot, per K, from five nodes; True where exercised."""
    if 0 <= node < held:
        for j in range(5):
            jet[j] = c.w * math.exp(x)
        jet[0] -= c.w
        return True
    df = math.exp(-c.r * c.T)
    h = -c.w * jet[0]  # the caller left the spacing there
    a, b, m, d, e = u[node - 2], u[node - 1], u[node], u[node + 1], u[node + 2]
    jet[0] = df * m
    jet[1] = df * (8.0 * (d - b) - (e - a)) / (12.0 * h)
    jet[2] = df * (16.0 * (b + d) - 30.0 * m - a - e) / (12.0 * h * h)
    jet[3] = df * ((e - a) - 2.0 * (d - b)) / (2.0 * h * h * h)
    jet[4] = df * (a + e - 4.0 * (b + d) + 6.0 * m) / (h * h * h * h)
    return False


@nb.njit(cache=True, error_model="numpy")
def step_count(c, plan, length):
    """Time steps for `length` years of the option's life."""
    enough = GROWTH * plan.steps * c.sigma * c.sigma * length
    return max(4, math.ceil(max(plan.steps * (length / c.T) ** 0.6, enough)))


@nb.njit(cache=True, error_model="numpy")
def resumes(c, paid):
    """Years before an ex-date from which a put is not exercised for the sake of the dividend.

    Waiting adds `paid` to what exercise brings, and costs interest on the strike: the boundary is
    gone nearer to the ex-date, and comes back at once. 0 where that does not happen.
    """
    return math.log1p(paid) / c.r if c.w < 0.0 and c.r > 0.0 and paid > 0.0 else 0.0


@nb.njit(cache=True, error_model="numpy")
def solve(c, x, first, last, times, cash, part, plan, u, g, E, v, jet):
    """V and four derivatives in ln S at ln(S/K) = x, per K, on one grid; True where exercised."""
    a = 0.5 * c.sigma * c.sigma
    cut, strike, share = at_expiry(c, first, last, times, cash, part)
    old, node, held, edge, slope = Grid(0, 0.0, 1.0), 0, 0, -1.0, c.w * share
    for k in range(cut, first - 1, -1):
        begin = times[k - 1] if k > first else 0.0
        end = times[k] if k < cut else c.T
        origin, left = (c.T - end if k < cut else 0.0), c.T - begin
        grid, node = segment_grid(
            c, x, first, k, last, begin, end, k == cut, times, cash, part, plan
        )
        fill_nodes(c.w, grid, E)
        if k == cut:
            tau = left if c.plain else min(START * grid.dx * grid.dx / a, 0.5 * left)
            held = fill_start(c, grid, tau, strike, share, E, u)
        else:
            tau = origin
            keep = 1.0 - part[k]
            z, jump = fill_mapped(c, old, held, edge, slope, tau, cash[k], keep, grid, u, E, v)
            held = exercise(c, grid.n, tau, E, v, g) if c.american else 0
            slope = c.w * math.exp(c.q * tau) if held > 0 else slope * keep
            if E[0] * math.exp((a - c.r + c.q) * tau) * keep <= cash[k] and c.w < 0.0:
                slope = 0.0  # node 0 cannot pay the dividend
            elif slope == 0.0:  # it can, and the node 0 of the segment after could not
                slope = (v[1] - v[0]) / ((E[1] - E[0]) * math.exp(a * tau))
            if 0.0 <= z < grid.n:
                fill_rounded(grid.n, z, jump, v)
            u, v = v, u
        damped = k < cut and c.american and c.w > 0.0
        pause = 0.0 if c.plain or k == cut else resumes(c, cash[k])
        if 0.0 < pause < left - tau:
            steps = step_count(c, plan, pause)
            held, edge, slope = march(
                c, grid, held, slope, tau, tau, tau + pause, steps, damped, u, g, E
            )
            tau, origin, damped = tau + pause, tau + pause, False
        if tau < left:
            steps = step_count(c, plan, left - tau)
            held, edge, slope = march(
                c, grid, held, slope, origin, tau, left, steps, damped, u, g, E
            )
        else:
            edge = held - 1.0
        old = grid
    jet[0] = old.dx
    return fill_jet(c, x, old.n, node, held, u, jet)


@nb.njit(cache=True, error_model="numpy")
def price_and_slopes(w, S, K, T, sigma, r, q, times, cash, part, american, plan, work, jet, coarse):
    """Write V and its four derivatives in ln S into jet, in USD; True where exercised now.

    `work` has shape (5, m) with m >= plan.most + 1 and >= times.size. Without chance (no vol, no
    time, no spot or no strike) only jet[0] is written and the rest is NaN: see `sure_cash`.
    """
    if not (sigma * math.sqrt(T) > TINY and S > 0.0 and K > 0.0):
        jet[:] = math.nan
        jet[0] = sure_cash(w, S, K, T, r, q, times, cash, part, american)
        return american and jet[0] <= w * (S - K)
    u, g, E, v, dues = work[0], work[1], work[2], work[3], work[4]
    first, last = live_range(T, times)
    for i in range(first, last):
        dues[i] = cash[i] / K
    plain = not american or regime(w, r, q) == 0
    c = Contract(w, T, sigma, r, q, american, plain, not plain and (r < 0.0 or q < 0.0))
    x = math.log(S / K)
    fine = Plan(0.5 * plan.h, 2.0 * plan.steps, plan.reach, plan.felt, plan.most, 0.5 * plan.widest)
    solve(c, x, first, last, times, dues, part, plan, u, g, E, v, coarse)
    done = solve(c, x, first, last, times, dues, part, fine, u, g, E, v, jet)
    if not done:
        for j in range(5):
            jet[j] += (jet[j] - coarse[j]) / 3.0
    for j in range(5):
        jet[j] *= K
    cap, grows = (S, -q) if w > 0.0 else (K, -r)
    cap *= math.exp(max(grows, 0.0) * T if american else grows * T)
    least = sure_cash(w, S, K, T, r, q, times, cash, part, american) if american else 0.0
    jet[0] = min(max(jet[0], least, 0.0), cap)
    return done


@nb.njit(cache=True, error_model="numpy")
def fill_price(w, S, K, T, vol, r, q, times, cash, part, american, plan, work, jets, price):
    """Write price[i]; jets is scratch of shape (2, 5)."""
    for i in range(price.size):
        price_and_slopes(
            w[i], S[i], K[i], T[i], vol[i], r[i], q[i],
            times, cash, part, american, plan, work, jets[0], jets[1],
        )  # fmt: skip
        price[i] = jets[0, 0]
