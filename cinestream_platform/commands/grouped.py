"""What commands share: the settings, and ``cinestream --help`` in groups, each command with its first sentence."""

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from cinestream_platform.settings import Settings

GROUPS = {
    "Try it": ("demo", "ui", "dashboards", "doctor"),
    "Bring data in": ("land", "fetch", "load-source", "sample"),
    "Look": ("status", "alerts", "metric", "explore", "psql", "dsn", "docs"),
    "Correct": ("reload", "retract"),
    "Extend": ("new-source",),
    "Operate": ("services", "prepare", "upgrade", "roles", "login", "sweep", "completion"),
}
"""Every command is in one of them."""
EXAMPLES = """\b
Examples:
  cinestream demo                        sample files, loaded and built
  cinestream ui                          Dagster; sensors load what lands
  cinestream land SOURCE ratings.csv     a file, or a folder of files
  cinestream status                      is all well? what landed, waits, failed?
  cinestream psql --role data_analyst    SQL on stars and marts
  cinestream COMMAND --help              options and examples of a command
"""


class GroupedCommands(click.Group):
    """A group of commands whose help is in groups."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write each group with the commands that are in it; nothing is cut."""
        for title, names in GROUPS.items():
            commands = [(name, command) for name in names if (command := self.get_command(ctx, name))]
            with formatter.section(title):
                formatter.write_dl([(name, command.get_short_help_str(limit=1_000)) for name, command in commands])


def completion_script(command: click.Command, shell: str) -> str:
    """What a shell must evaluate so that it completes commands, options and choices."""
    from click.shell_completion import get_completion_class

    complete = get_completion_class(shell)
    if complete is None:
        raise click.UsageError(f"click knows no completion for {shell}")
    return complete(command, {}, "cinestream", "_CINESTREAM_COMPLETE").source()


def given_settings() -> "Settings":
    """The settings that the environment gives: read when a command runs, and passed from there on."""
    from cinestream_platform.settings import get_settings

    return get_settings()
