"""The command line. Names, options and help stand here; what commands do is in ``commands``, imported when called."""

import os
import sys
from contextlib import suppress
from io import TextIOWrapper
from pathlib import Path
from typing import Any

import click

from cinestream_platform.commands.grouped import EXAMPLES, GroupedCommands, given_settings
from cinestream_platform.commands.operating import OPERATING
from cinestream_platform.commands.source_names import NamingCommand, SourceChoice, completed


@click.group(
    cls=GroupedCommands,
    epilog=EXAMPLES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="cinestream-platform", prog_name="cinestream", message="%(prog)s %(version)s")
def cli() -> None:
    """CineStream: files land in S3, minutes later there is a warehouse in Postgres that people can trust.

    Settings are environment variables CINESTREAM_…; all local state lies in CINESTREAM_HOME (.cinestream).
    """
    from cinestream_platform.services.home import close_home
    from cinestream_platform.settings import SettingsError

    with suppress(SettingsError, OSError):  # the command itself, or doctor, says what is wrong
        close_home(given_settings().home_dir)


@cli.command(
    cls=NamingCommand,
    epilog="""\b
Examples:
  cinestream demo --source {source}
  cinestream demo --data ~/films --release {release}
""",
)
@click.option("--data", type=click.Path(path_type=Path), help="Folder with one sub-folder per source.")
@click.option("--release", help="Release below --data, for a source that has several.")
@click.option("--scale", type=float, help="Size of the generated sample, 1 by default.")
@click.option("--source", "sources", multiple=True, type=SourceChoice("sources"), help="Only this source (repeatable).")
@click.option("--fresh", is_flag=True, help="Empty the warehouse first, whatever it holds.")
def demo(data: Path | None, release: str | None, scale: float | None, sources: tuple[str, ...], fresh: bool) -> None:
    """Land files, materialize everything, and say what was done."""
    if data is None and release:
        raise click.UsageError("--release chooses a folder below --data; generated files have no release")
    if data and scale is not None:
        raise click.UsageError("--scale is the size of generated files; those of --data are taken as they are")
    from cinestream_platform.commands.demo import run_demo

    sys.exit(run_demo(given_settings(), data, release=release, scale=scale or 1.0, sources=sources, fresh=fresh))


@cli.command()
@click.option("--port", type=click.IntRange(1, 65535), help="Port on 127.0.0.1; 3000, and 3001 with --read-only.")
@click.option("--read-only", is_flag=True, help="A second UI for people who only look: no changes, no logs, no daemon.")
def ui(port: int | None, read_only: bool) -> None:
    """Start the Dagster UI and daemon, and keep them running; sensors load what lands until Ctrl-C."""
    from cinestream_platform.commands.ui import run_ui

    run_ui(given_settings(), port, read_only=read_only)


@cli.command()
@click.option("--port", type=click.IntRange(1, 65535), help="Port on 127.0.0.1; 3002 by default.")
def dashboards(port: int | None) -> None:
    """Serve the pages for stakeholders: is it fresh, is it right, where does a number come from. Until Ctrl-C."""
    from cinestream_platform.commands.ui import run_dashboards

    run_dashboards(given_settings(), port)


@cli.command(
    cls=NamingCommand,
    epilog="""\b
Examples:
  cinestream land {source} {release}/
  cinestream land {source} mine.csv --dataset {dataset} --as more/mine.csv
""",
)
@click.argument("source", shell_complete=completed("landing"))
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.option("--dataset", help="Dataset of the files. By default it follows from their names.")
@click.option("--as", "--name", "name", help="Name in the landing zone; of a folder, that of its files' folder.")
@click.option("--replace", is_flag=True, help="Replace other content under the same key.")
def land(source: str, path: Path, dataset: str | None, name: str | None, replace: bool) -> None:
    """Put a file, or a folder of files, into the landing zone of SOURCE.

    SOURCE is one of {landing}. Others are operational databases (load-source).
    """
    from cinestream_platform.commands.files import land_named

    for line in land_named(given_settings(), source, path, dataset=dataset, name=name, replace=replace):
        click.echo(line)


@cli.command(cls=NamingCommand)
@click.argument("source", type=SourceChoice("fetched"))
@click.argument("archive", required=False, type=click.Path(exists=True, path_type=Path))
@click.option("--release", help="For {several_releases}; the first is the default.")
@click.option("--base-url", help="Address to download from instead of the publisher.")
@click.option("--as", "name", help="Folder for its files in the landing zone, beside files with the same names.")
@click.option("--replace", is_flag=True, help="Replace other content under the same keys.")
def fetch(
    source: str, archive: Path | None, release: str | None, base_url: str | None, name: str | None, replace: bool
) -> None:
    """Download the publisher's archive and unpack it safely; land its files, or restore its database.

    What cannot be downloaded for you ({taken}) needs an ARCHIVE or an unpacked folder. Without it, the command says
    where to get the archive.
    """
    from cinestream_platform.commands.fetch import fetch as fetch_source

    options = {"release": release, "base_url": base_url, "as_name": name}
    lines = fetch_source(given_settings(), source, archive, **options, replace=replace)
    for line in lines:
        click.echo(line)


@cli.command("load-source")
@click.argument("source", type=SourceChoice("own_systems"))
@click.argument("archive", required=False, type=click.Path(path_type=Path))
@click.option("--sample", "is_sample", is_flag=True, help="Generate rows instead, with known bad records among them.")
@click.option("--scale", type=float, default=1.0, show_default=True, help="1.0 is about the published size.")
@click.option("--seed", type=int, default=1, show_default=True)
@click.option("--clean", is_flag=True, help="Without the planted bad records.")
@click.option("--replace", is_flag=True, help="Replace an existing database.")
def load_source(
    source: str, archive: Path | None, is_sample: bool, scale: float, seed: int, clean: bool, replace: bool
) -> None:
    """Make the operational database of SOURCE from ARCHIVE, or with --sample.

    ARCHIVE is an archive of pg_dump (also in a .zip), an .sql script as pg_dump writes it, or a folder with such
    scripts of schema and data.
    """
    if (archive is None) != is_sample:
        raise click.UsageError("give either an ARCHIVE or --sample")
    from cinestream_platform.commands.source_database import generate, restore
    from cinestream_platform.declarations.sample import SampleSize

    size = SampleSize(scale=scale, seed=seed, dirt=not clean)
    settings = given_settings()
    made = restore(settings, source, archive, replace=replace) if archive else None
    for line in made or generate(settings, source, size, replace=replace):
        click.echo(line)


@cli.command()
@click.argument("source", type=SourceChoice("sampled"))
@click.argument("folder", required=False, type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--scale", type=float, default=1.0, show_default=True, help="1.0 is about 100,000 ratings, or 412 invoices."
)
@click.option("--seed", type=int, default=1, show_default=True)
@click.option("--clean", is_flag=True, help="Without the planted bad records.")
@click.option("--ratings", type=int, help="Number of good ratings, for a sample of any size.")
@click.option("--dirty", type=float, help="Bad records per good record, for such a sample.")
def sample(
    source: str, folder: Path | None, scale: float, seed: int, clean: bool, ratings: int | None, dirty: float | None
) -> None:
    """Generate files of SOURCE in the publisher's formats, with known bad records in them.

    FOLDER is sample/SOURCE in CINESTREAM_HOME if it is not given.
    """
    if clean and dirty:
        raise click.UsageError("give either --clean or --dirty")
    from cinestream_platform.commands.sample import generate
    from cinestream_platform.declarations.sample import SampleSize

    size = SampleSize(scale=scale, seed=seed, dirt=not clean, ratings=ratings, dirty=dirty)
    for line in generate(given_settings(), source, folder, size):
        click.echo(line)


@cli.command(
    cls=NamingCommand,
    epilog="""\b
Examples:
  cinestream status | grep {source}/{dataset}
  cinestream status --files | grep -A1 mine.csv
""",
)
@click.option("--files", is_flag=True, help="Every file, with its state and the reason for it.")
@click.option("--quick", is_flag=True, help="Do not look for stale tables, which takes some seconds.")
def status(files: bool, quick: bool) -> None:
    """Whether all is well; what landed, what waits, what is parked, what was published last."""
    from cinestream_platform.commands.status import print_status

    print_status(given_settings(), every_file=files, quick=quick)


@cli.command(cls=NamingCommand)
@click.argument("source", shell_complete=completed("sources"))
def explore(source: str) -> None:
    """What the raw tables of SOURCE hold: rows, NULLs, distinct values, key candidates, relations.

    SOURCE is one of {sources}.
    """
    from cinestream_platform.commands.explore import print_report

    print_report(given_settings(), source)


@cli.command()
def docs() -> None:
    """Make a page of the marts: lineage, columns, tests, SQL; say where it is."""
    from cinestream_platform.commands.dbt_docs import make_docs

    click.echo(f"The docs of the marts are in {make_docs(given_settings()).as_uri()}")


@cli.command(
    epilog="""\b
Examples:
  cinestream metric                                    all of them, with their formulas
  cinestream metric revenue --by country --month 2013-05
  cinestream metric revenue --by month --where country=Canada
"""
)
@click.argument("name", required=False, shell_complete=completed("metrics"))
@click.option("--source", type=SourceChoice("sources"), help="Only this source; otherwise each that has the metric.")
@click.option("--by", multiple=True, help="A dimension, or day, week, month, quarter, year (repeatable).")
@click.option("--month", "--year", "--day", "period", help="2013-05, 2013 or 2013-05-01.")
@click.option("--from", "first", help="From this day, month or year on.")
@click.option("--to", "last", help="Up to this day, month or year, itself included.")
@click.option("--where", multiple=True, help="DIMENSION=VALUE (repeatable).")
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, show_default=True, help="Rows that are shown.")
def metric(
    name: str | None,
    source: str | None,
    by: tuple[str, ...],
    period: str | None,
    first: str | None,
    last: str | None,
    where: tuple[str, ...],
    limit: int,
) -> None:
    """Answer a question about a figure that is defined once, with its SQL; without NAME, list them all."""
    from cinestream_platform.commands.metric import Asked, answer, list_metrics

    if name is None:
        list_metrics(source)
        return
    answer(given_settings(), name, source, Asked(by, period or first, period or last, where, limit))


@cli.command("new-source", epilog="Example: cinestream new-source trailers --from samples/trailers/")
@click.argument("name")
@click.option("--from", "folder", required=True, type=click.Path(path_type=Path), help="Folder of sample CSV files.")
def new_source_(name: str, folder: Path) -> None:
    """Write the package of a new source NAME from sample files: a first draft that works, to be edited."""
    from cinestream_platform.commands.new_source.writing import new_source

    for line in new_source(name, folder):
        click.echo(line)


@cli.command(cls=NamingCommand, epilog="Example: cinestream reload {source}/{dataset}/{file}")
@click.argument("key")
def reload(key: str) -> None:
    """Have a file read again, for instance after it was parked."""
    from cinestream_platform.commands.files import reload_key

    click.echo("\n".join(reload_key(given_settings(), key)))


@cli.command(cls=NamingCommand, epilog="Example: cinestream retract {source}/{dataset}/{file}")
@click.argument("key")
def retract(key: str) -> None:
    """Undo a file: its rows leave the raw table, and the partitions that it touched are rebuilt."""
    from cinestream_platform.commands.files import retract_key

    click.echo("\n".join(retract_key(given_settings(), key)))


@cli.command()
def sweep() -> None:
    """Delete what crashed loads left in the lake more than a day ago."""
    from cinestream_platform.commands.files import sweep as sweep_lake

    click.echo(sweep_lake(given_settings()))


for command in OPERATING:
    cli.add_command(command)


def main() -> Any:
    """Entry point: what a user can mend is said in one line; a fault of ours shows its traceback.

    What this process and those that it starts write (Dagster's, dbt's) is closed to other accounts.
    """
    os.umask(0o077)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that knows only ASCII shows ? for a line of a table
    try:
        return cli(standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except Exception as error:
        from cinestream_platform.commands.failures import what_to_say

        click.echo(what_to_say(error), err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
