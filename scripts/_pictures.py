"""Run the demo day and keep its screen of 11:30 as an SVG. Called by scripts/pictures."""

import sys
from pathlib import Path
from zoneinfo import ZoneInfo

from optmm import reports
from optmm.cli.screen import snapshot
from optmm.cli.simulate import configured
from optmm.config import DeskConfig
from optmm.data.simulator import simulate_day
from optmm.engine import replay
from optmm.reports.live import export_svg

# a quarter of a minute after the simulated makers have shown the whole chain again
MOMENT_NS = (2 * 3_600 + 15) * 1_000_000_000


def main(folder: Path, picture: Path) -> None:
    """Replay seed 7 and draw the live view two hours into the session."""
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


main(Path(sys.argv[1]), Path(sys.argv[2]))
