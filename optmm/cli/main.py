"""`optmm`: quote, hedge and explain an options chain from the command line.

Errors of ours become one line on stderr and the exit code of their class; a traceback is a bug.
Exit codes: 0 done, 1 failure, 2 usage, 3 bad config, 4 bad data, 5 limit breached or kill switch,
6 calibration or arbitrage check failed, 130 interrupted.
"""

import os
import sys

# the matrices here are small: a second BLAS thread costs more than it brings, and one thread sums
# in one order everywhere. Must be set before numpy is first imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import typer

from optmm.cli import (
    backtest,
    bench,
    calibrate,
    data,
    doctor,
    facts,
    iv,
    journal,
    price,
    replay,
    report,
    simulate,
)
from optmm.errors import OptmmError

app = typer.Typer(
    name="optmm",
    help="Options market making and volatility surfaces: quote, hedge and explain a real chain.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("replay")(replay.replay)
app.command("demo")(replay.demo)
app.command("backtest")(backtest.backtest)
data.app.command("facts")(facts.facts)
app.command("simulate")(simulate.simulate)
app.command("report")(report.report)
app.command("calibrate")(calibrate.calibrate)
app.command("price")(price.price)
app.command("iv")(iv.iv)
app.command("doctor")(doctor.doctor)
app.add_typer(journal.app, name="journal")
app.add_typer(data.app, name="data")
app.add_typer(bench.app, name="bench")


def main(argv: list[str] | None = None) -> int:
    """Run the command line and return (or exit with) its code."""
    from hedging.errors import HedgingError
    from surfaces.errors import SurfacesError

    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a terminal without a sign gets a stand-in, not a crash
            stream.reconfigure(errors="replace")
    try:
        app(args=argv, standalone_mode=True)
    except (OptmmError, SurfacesError, HedgingError) as error:
        sys.stderr.write(f"optmm: {error}\n")
        sys.exit(getattr(error, "exit_code", 1))
    except KeyboardInterrupt:
        sys.stderr.write("optmm: interrupted\n")
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)
    except OSError as error:
        sys.stderr.write(f"optmm: {error.filename or 'input'}: {error.strerror or error}\n")
        sys.exit(1)
    return 0


if __name__ == "__main__":
    main()
