"""Every command has help with an example and stands in the README; help is light and quick."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from optmm.cli.main import app

ROOT = Path(__file__).resolve().parents[2]


def commands(group, prefix: tuple[str, ...] = ()):
    """Yield (name as typed, command) for every leaf of the command tree."""
    for name, command in sorted(group.commands.items()):
        if hasattr(command, "commands"):
            yield from commands(command, (*prefix, name))
        else:
            yield " ".join((*prefix, name)), command


LEAVES = dict(commands(typer.main.get_command(app)))


@pytest.mark.parametrize("name", LEAVES)
def test_command_has_help_with_an_example(name):
    help_text = LEAVES[name].help or ""
    assert "Example:" in help_text, f"optmm {name} has no example in its help"
    assert f"optmm {name}" in help_text.split("Example:")[1]


@pytest.mark.parametrize("name", LEAVES)
def test_command_stands_in_the_readme(name):
    assert f"optmm {name}" in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", LEAVES)
def test_every_option_is_explained(name):
    options = [p for p in LEAVES[name].params if p.param_type_name == "option"]
    bare = [p.name for p in options if not p.help]
    assert not bare


def test_contract_commands_exist():
    assert {"replay", "demo", "simulate", "report", "journal verify", "data info", "doctor"} <= set(
        LEAVES
    )


def test_help_loads_nothing_heavy():
    code = (
        "import sys, json, time\n"
        "from optmm.cli import main\n"
        "try: main.app(['--help'])\n"
        "except SystemExit: pass\n"
        "print(json.dumps([sorted({m.split('.')[0] for m in sys.modules}), time.process_time()]))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    modules, _ = json.loads(done.stdout.splitlines()[-1])
    assert not {"numba", "pandas", "matplotlib", "polars", "scipy", "QuantLib"} & set(modules)


def test_unknown_command_is_a_usage_error():
    done = subprocess.run(
        [sys.executable, "-m", "optmm.cli.main", "quote"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "No such command" in done.stderr
