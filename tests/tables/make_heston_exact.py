"""Write heston_exact.csv: Heston calls and five derivatives in 34 digits. Needs mpmath.

    python tests/tables/make_heston_exact.py > tests/tables/heston_exact.csv

Lewis's integral on the real line with the textbook exponents of Albrecher et al. (2007), by
Gauss-Legendre panels no wider than eight radians of the waves; nothing is shared with the kernels.
Derivatives are central differences at a relative step of 1e-6, so good to about 1e-11 of a price.
"""

import random
import sys

from mpmath import mp, mpc, mpf
from mpmath import mp as m

mp.dps = 34
NODES = 30
STEP = mpf(10) ** -6
ROWS = 72  # every third with derivatives
HARD = (
    "100,1218.2494,3.853962,0.020501,0.4298,0.542405,0.03894,0.8912"  # where two rules once agreed
)
NAMES = ("v0", "kappa", "theta", "sigma", "rho")


def legendre(n: int) -> list[tuple[mpf, mpf]]:
    """Nodes and weights on [-1, 1] by Newton's method."""
    out = []
    for i in range(n):
        x = m.cos(m.pi * (i + mpf(3) / 4) / (n + mpf(1) / 2))
        for _ in range(8):
            before, last = mpf(1), x
            for j in range(2, n + 1):
                before, last = last, ((2 * j - 1) * x * last - (j - 1) * before) / j
            slope = n * (before - x * last) / (1 - x * x)
            x -= last / slope
        out.append((x, 2 / ((1 - x * x) * slope * slope)))
    return out


RULE = legendre(NODES)


def exponent(u, T, v0, kappa, theta, sigma, rho):
    """ln E exp(i z X) at z = u - i/2, X = ln(S_T/F)."""
    i = mpc(0, 1)
    beta = kappa - rho * sigma * i * (u - i / 2)
    d = m.sqrt(beta * beta + sigma * sigma * (u * u + mpf(1) / 4))
    g = (beta - d) / (beta + d)
    E = m.exp(-d * T)
    first = (beta - d) * T - 2 * m.log((1 - g * E) / (1 - g))
    return kappa * theta / sigma**2 * first + v0 * (beta - d) / sigma**2 * (1 - E) / (1 - g * E)


def call(F, K, T, v0, kappa, theta, sigma, rho):
    """Undiscounted price."""
    k = m.log(K / F)
    w = theta * T + (v0 - theta) * (1 - m.exp(-kappa * T)) / kappa
    waves = max(abs(k), abs(k + rho * (v0 + kappa * theta * T) / sigma), mpf(10) ** -6)
    widest = 8 / waves
    width = min(mpf(1) / 2, 1 / m.sqrt(w), widest)
    total, left, size = mpf(0), mpf(0), mpf(1)
    while size * max(left, 1) > mpf(10) ** -22:
        part, size = mpf(0), mpf(0)
        for x, weight in RULE:
            u = left + width * (x + 1) / 2
            f = m.exp(exponent(u, T, v0, kappa, theta, sigma, rho) - mpc(0, 1) * u * k)
            f /= u * u + mpf(1) / 4
            part += weight * f.real
            size = max(size, abs(f))
        total += part * width / 2
        left += width
        width = min(width * mpf("1.5"), widest)
    return F - m.sqrt(F * K) / m.pi * total


def drawn(count: int):
    """Rows of text: days to 30 years, vols 3 to 90 %, strikes to eight deviations."""
    rng = random.Random(2002)

    def spread(low: float, high: float) -> float:
        return float(m.exp(rng.uniform(float(m.log(low)), float(m.log(high)))))

    for i in range(count):
        T, v0, theta = spread(1 / 365, 30.0), spread(0.001, 0.8), spread(0.001, 0.8)
        kappa = spread(0.02, 15.0)
        sigma = rng.uniform(0.8, 1.8) if i % 2 else spread(0.03, 1.8)
        rho = rng.choice((-0.95, 0.95, -0.99)) if i % 5 == 0 else rng.uniform(-0.95, 0.95)
        w = theta * T + (v0 - theta) * (1.0 - float(m.exp(-kappa * T))) / kappa
        k = rng.gauss(0.0, 1.0) if i % 4 else rng.uniform(-8.0, 8.0)
        k = max(min(k * w**0.5, 2.5), -2.5)
        row = (100.0, 100.0 * float(m.exp(k)), T, v0, kappa, theta, sigma, rho)
        yield [f"{x:.6g}" for x in row]


def main() -> None:
    print(
        "# Heston calls, undiscounted, and derivatives: see make_heston_exact.py, which wrote this"
    )
    print("F,K,T,v0,kappa,theta,sigma,rho,call,d_" + ",d_".join(NAMES))
    for i, row in enumerate(drawn(ROWS)):
        at = [mpf(text) for text in row]
        out = [m.nstr(call(*at), 22)]
        for j in range(3, 8) if i % 3 == 1 else ():
            up, down = list(at), list(at)
            up[j], down[j] = at[j] * (1 + STEP), at[j] * (1 - STEP)
            out.append(m.nstr((call(*up) - call(*down)) / (2 * STEP * at[j]), 14))
        print(",".join([*row, *out, *[""] * (6 - len(out))]))
        sys.stdout.flush()
    row = HARD.split(",")
    print(",".join([*row, m.nstr(call(*map(mpf, row)), 22), *[""] * 5]))


if __name__ == "__main__":
    main()
