"""Names, options and help of the commands that give access to the warehouse and operate it; ``cli`` adds them."""

import sys

import click

from cinestream_platform.commands.grouped import given_settings
from cinestream_platform.commands.login import login
from cinestream_platform.commands.source_names import NamingCommand

ROLES = ("admin", "data_engineer", "data_analyst", "ml_engineer", "dashboard_reader")


@click.command()
@click.option("--role", type=click.Choice(ROLES), help="Log in as a member of this role; without, as the owner.")
def dsn(role: str | None) -> None:
    """Print a DSN, password included, for programs that take one. Starts the server and creates roles if needed."""
    from cinestream_platform.commands.access import dsn_of

    click.echo(dsn_of(given_settings(), role))


@click.command(
    cls=NamingCommand,
    context_settings={"ignore_unknown_options": True},
    epilog="""\b
Examples:
  cinestream psql --role data_analyst
  cinestream psql --role data_analyst -c "SELECT count(*) FROM {fact}"
  cinestream psql -f report.sql
""",
)
@click.option("--role", type=click.Choice(ROLES), help="Log in as a member of this role; without, as the owner.")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def psql(role: str | None, arguments: tuple[str, ...]) -> None:
    """Open the warehouse in the included psql. ARGUMENTS are those of psql, such as -c "SELECT 1".

    The role's rights are what its members have: data_analyst reads stars and marts, but no personal columns.
    Starts the server and creates roles if needed.
    """
    from cinestream_platform.commands.access import run_psql

    run_psql(given_settings(), role, arguments)


@click.command()
@click.option("--apply", "apply_", is_flag=True, help="Grant missing rights, revoke undeclared ones.")
def roles(apply_: bool) -> None:
    """Compare the grants in Postgres with the declared ones. Starts the server and creates roles if needed."""
    from cinestream_platform.commands.access import report_grants

    sys.exit(report_grants(given_settings(), apply=apply_))


@click.command()
@click.option("--test", is_flag=True, help="Send a test message to each channel; fails if one does not take it.")
def alerts(test: bool) -> None:
    """What is wrong now, who was told, and whether the channels take messages. Starts the server if needed."""
    from cinestream_platform.commands.alerts import print_alerts, test_channels

    sys.exit(test_channels(given_settings()) if test else print_alerts(given_settings()))


@click.command()
def prepare() -> None:
    """Create what is missing: buckets, databases, roles, tables, dbt's manifest. What exists is left as it is."""
    from cinestream_platform.commands.prepare import prepare_everything

    for line in prepare_everything(given_settings()):
        click.echo(line)


@click.command()
def upgrade() -> None:
    """Bring the warehouse of an earlier version to this one. Stop the platform first; data stays."""
    from cinestream_platform.commands.upgrade import run_upgrade

    for line in run_upgrade(given_settings()):
        click.echo(line)


@click.command()
def doctor() -> None:
    """Check this machine, the services and the warehouse; say for each failure what to do."""
    from cinestream_platform.commands.doctor import run_doctor

    sys.exit(run_doctor(given_settings))


@click.command(
    epilog="""\b
Examples:
  eval "$(cinestream completion bash)"      in ~/.bashrc
  cinestream completion fish > ~/.config/fish/completions/cinestream.fish
"""
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print what SHELL evaluates to complete commands and options."""
    from cinestream_platform.commands.grouped import completion_script

    click.echo(completion_script(click.get_current_context().find_root().command, shell))


@click.group()
def services() -> None:
    """The embedded Postgres of this home."""


@services.command("start")
def services_start() -> None:
    """Start it, or find it running."""
    from cinestream_platform.commands.services import start

    click.echo(start(given_settings()))


@services.command("stop")
def services_stop() -> None:
    """Stop it."""
    from cinestream_platform.commands.services import stop

    click.echo(stop(given_settings()))


@services.command("status")
def services_status() -> None:
    """Say whether it runs, and where."""
    from cinestream_platform.commands.services import status as running

    click.echo(running(given_settings()))


OPERATING: tuple[click.Command, ...] = (alerts, dsn, psql, roles, prepare, upgrade, doctor, completion, services, login)
