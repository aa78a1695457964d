"""What the command line says about itself."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from cinestream_platform.cli import cli
from cinestream_platform.commands.grouped import GROUPS


def output(*arguments: str, width: int = 80) -> str:
    done = CliRunner().invoke(cli, [*arguments], terminal_width=width)
    assert done.exit_code == 0, done.output
    return done.output


def test_every_command_is_in_one_group_of_the_help() -> None:
    grouped = [name for names in GROUPS.values() for name in names]
    assert sorted(grouped) == sorted(cli.commands)


@pytest.mark.parametrize("width", [60, 80, 100])
def test_the_help_cuts_no_sentence(width: int) -> None:
    printed = output("--help", width=width)
    assert "..." not in printed.split("\n", 1)[1]
    flowing = " ".join(printed.split())
    for command in cli.commands.values():
        first = re.split(r"\.\s|\.$", " ".join((command.help or "").split()), maxsplit=1)[0]
        assert first in flowing, first


def test_the_help_has_examples_and_the_version_is_told() -> None:
    assert "  cinestream land SOURCE ratings.csv " in output("--help")
    assert re.fullmatch(r"cinestream \d+\.\d+\.\d+\n", output("--version"))
    assert "cinestream psql --role data_analyst -c" in output("psql", "--help")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_complete_commands(shell: str) -> None:
    printed = output("completion", shell)
    assert f"_CINESTREAM_COMPLETE={shell}_complete" in printed


def test_completion_knows_commands_options_and_choices() -> None:
    from click.shell_completion import ShellComplete

    complete = ShellComplete(cli, {}, "cinestream", "_CINESTREAM_COMPLETE")
    assert [item.value for item in complete.get_completions([], "re")] == ["reload", "retract"]
    assert [item.value for item in complete.get_completions(["psql", "--role"], "data_a")] == ["data_analyst"]
    assert [item.value for item in complete.get_completions(["explore"], "d")] == ["dvdrental"]
    assert [item.value for item in complete.get_completions(["land"], "")] == ["movielens", "chinook", "netflix"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["demo", "--release", "ml-25m"], "--release chooses a folder below --data"),
        (["demo", "--data", "/x", "--scale", "2"], "--scale is the size of generated files"),
        (["fetch", "dvdrental", "--release", "ml-25m"], "--release is an option for movielens"),
    ],
)
def test_an_option_that_would_have_no_effect_is_refused(arguments: list[str], words: str) -> None:
    done = CliRunner().invoke(cli, arguments, standalone_mode=False)
    assert isinstance(done.exception, click.UsageError)
    assert words in str(done.exception)


def test_a_terminal_that_knows_only_ascii_stops_no_command() -> None:
    program = (
        "import sys\n"
        "from cinestream_platform.cli import cli, main\n"
        "cli.command('line')(lambda: print('\\u2500 \\u2026 end'))\n"
        "sys.argv = ['cinestream', 'line']\n"
        "main()\n"
    )
    plain = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run([sys.executable, "-c", program], env=plain, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, "? ? end\n"), done.stderr


def test_the_help_imports_neither_the_catalogue_nor_the_settings() -> None:
    program = "import sys; from cinestream_platform.cli import cli; cli(['--help'], standalone_mode=False); " + (
        "print([name for name in ('cinestream_platform.catalog', 'pydantic', 'polars', 'dagster') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert done.stdout.splitlines()[-1] == "[]", done.stderr
