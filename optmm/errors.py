"""What can go wrong on the top floor, and the exit code each carries.

    OptmmError (1)
    ├── UsageError (2, ValueError)               the command or call was wrong
    ├── ConfigError (3, ValueError)              a configuration was wrong
    ├── DataError (4, ValueError)                a file was wrong: names file, row and remedy
    ├── LimitBreached (5, RuntimeError)          a limit or the kill switch stopped the desk
    └── CalibrationFailed (6, ArithmeticError)   no surface could be certified

`optmm.cli.main` turns these into one line on stderr and the exit code; anything else is a bug.
"""


class OptmmError(Exception):
    """Any failure that the user can act upon."""

    exit_code: int = 1


class UsageError(OptmmError, ValueError):
    """The command line or the call asks for something that does not exist or is ambiguous."""

    exit_code = 2


class ConfigError(OptmmError, ValueError):
    """A configuration value is missing, unknown or out of range."""

    exit_code = 3


class DataError(OptmmError, ValueError):
    """A file cannot be used: reads "file, row N: what. remedy".

    Parameters
    ----------
    what : the fault, without a full stop
    file : file, and the member inside it, as the user knows them
    row : 1-based line in that member
    remedy : a sentence that says what to do
    """

    exit_code = 4

    def __init__(
        self, what: str, *, file: str | None = None, row: int | None = None, remedy: str = ""
    ) -> None:
        where = "" if file is None else file if row is None else f"{file}, row {row}"
        text = f"{where}: {what}" if where else what
        super().__init__(f"{text}. {remedy}" if remedy else text)
        self.file, self.row, self.remedy = file, row, remedy


class LimitBreached(OptmmError, RuntimeError):  # noqa: N818 - named after the event
    """A risk limit or the kill switch stopped the run."""

    exit_code = 5


class CalibrationFailed(OptmmError, ArithmeticError):  # noqa: N818 - named after the event
    """No surface passed its arbitrage certificate."""

    exit_code = 6
