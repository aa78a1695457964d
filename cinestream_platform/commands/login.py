"""Names, options and help of ``cinestream login``; what it does is in ``people``, imported when called."""

import sys

import click

from cinestream_platform.commands.grouped import given_settings

ROLES = ("viewer", "operator")


@click.group()
def login() -> None:
    """Say who may log in to the pages and to Dagster's UI by password (CINESTREAM_WEB_LOGIN=password)."""


@login.command("add")
@click.argument("name")
@click.option("--role", type=click.Choice(ROLES), default="viewer", show_default=True, help="What NAME may do.")
def login_add(name: str, role: str) -> None:
    """Add NAME, or give NAME another role and password.

    The password is asked for; without a terminal it is the first line of the input.
    """
    from cinestream_platform.commands.people import add_person

    if sys.stdin.isatty():
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    click.echo(add_person(given_settings(), name, role, password))


@login.command("remove")
@click.argument("name")
def login_remove(name: str) -> None:
    """Take NAME out; whoever is logged in as NAME is no longer."""
    from cinestream_platform.commands.people import remove_person

    click.echo(remove_person(given_settings(), name))


@login.command("list")
def login_list() -> None:
    """List who may log in, and as what."""
    from cinestream_platform.commands.people import people_lines

    for line in people_lines(given_settings()):
        click.echo(line)
