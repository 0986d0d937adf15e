"""Run the demo day; keep its screen and its smiles of 11:30. Called by scripts/pictures."""

import sys
from pathlib import Path
from zoneinfo import ZoneInfo

import surfaces
from optmm import reports
from optmm.cli.screen import snapshot
from optmm.cli.simulate import configured
from optmm.config import DeskConfig
from optmm.data.simulator import simulate_day
from optmm.data.snapshots import frozen
from optmm.engine import replay
from optmm.reports.live import export_svg
from surfaces import plot

# a quarter of a minute after the simulated makers have shown the whole chain again
MOMENT_NS = (2 * 3_600 + 15) * 1_000_000_000


EXPIRIES = [1, 3, 6, 9, 13, 17, 22, 27]


def main(folder: Path, picture: Path, smiles: Path) -> None:
    """Replay seed 7 and draw the live view and the smiles two hours into the session."""
    day = simulate_day(configured(None), 7).day
    zone = ZoneInfo(day.session.timezone)
    drawn = []

    def watch(run: replay.Run, now_ns: int, share: float) -> None:
        if not drawn and now_ns >= day.session.open_ns + MOMENT_NS:
            # no rate: it would be of the machine that drew the picture
            shot = snapshot(run, now_ns, share, float("nan"), zone)
            export_svg(shot, picture)
            drawn.append(shot)

    replay.run(day, DeskConfig(), folder, seed=7, command="demo --seed 7", progress=watch)
    reports.write(folder)
    replay.complete_run(folder)


    seen = frozen(day, day.session.open_ns + MOMENT_NS)
    surface = surfaces.fit(seen.quotes, valuation_ns=seen.valuation_ns, spot=seen.spot)
    plot.smiles(surface, EXPIRIES).savefig(smiles, dpi=80)


main(*map(Path, sys.argv[1:]))
