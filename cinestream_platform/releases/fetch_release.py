"""Download and unpack what a source's publisher offers: MovieLens' releases, and dvdrental's archive.

What belongs here: which releases there are, where they lie, and how a download becomes a folder of files that can be
trusted. Landing or restoring those files is the command line's work; what they hold is the business of the source.
"""

import hashlib
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from cinestream_platform.errors import CineStreamError
from cinestream_platform.releases.archives import CorruptArchiveError, unpack_zip
from cinestream_platform.releases.download import CONNECT_SECONDS, SILENCE_SECONDS, Download

GROUPLENS = "https://files.grouplens.org/datasets/movielens/"

# ml-32m, the largest release, unpacks to 0.9 GB and ml-25m to 1.2 GB, both at about 5:1.
_MAX_BYTES = 8 * 1024**3
_MAX_RATIO = 50.0

_SMALL = ("links.csv", "movies.csv", "ratings.csv", "tags.csv")
_WITH_GENOME = (*_SMALL, "genome-scores.csv", "genome-tags.csv")


@dataclass(frozen=True)
class Release:
    """One archive of the publisher.

    Attributes:
        archive: File name below the base URL. A file ``<archive>.md5`` may lie beside it.
        folder: Folder inside the archive that holds the files.
        files: The files that must be in that folder.
        md5: Checksum of a release that never changes; None = read the publisher's ``.md5`` file each time.
        known_sha256: Checksum of an archive for which its publisher gives none. Another archive is taken as well, for
            it may be a newer one; ``warning_about`` says so.
        base_url: Address of the publisher's folder.
        page: Where people find the archive.
        by_hand: What to do with an archive that was downloaded by hand.
    """

    archive: str
    folder: str
    files: tuple[str, ...]
    md5: str | None = None
    known_sha256: str | None = None
    base_url: str = GROUPLENS
    page: str = "https://grouplens.org/datasets/movielens/"
    by_hand: str = "unpack it and run `cinestream land movielens <folder>`"


RELEASES: Mapping[str, Release] = MappingProxyType(
    {
        # Upstream replaces "latest" from time to time, so that no checksum can be built in.
        "ml-latest-small": Release("ml-latest-small.zip", "ml-latest-small", _SMALL),
        "ml-25m": Release("ml-25m.zip", "ml-25m", _WITH_GENOME, md5="6b51fb2759a8657d3bfcbfc42b592ada"),
        "ml-32m": Release("ml-32m.zip", "ml-32m", _SMALL, md5="d472be332d4daa821edc399621853b57"),
    }
)

DVDRENTAL = Release(
    "dvdrental.zip",
    "",
    ("dvdrental.tar",),
    known_sha256="0be42f2d70a613ecd9f50b92b9a3d0dc97c37c6d0af8105022e1e1bd193f5b56",
    base_url="https://neon.com/postgresqltutorial/",
    page="https://www.postgresqltutorial.com/, PostgreSQL Sample Database",
    by_hand="run `cinestream load-source dvdrental <dvdrental.zip>`",
)


class ReleaseError(CineStreamError):
    """A release could not be fetched; the message says what to do."""


class _NotPublishedError(Exception):
    """The server answers that there is no such file (404)."""


def fetch_release(release: str, destination: Path, *, base_url: str | None = None, progress: bool = True) -> Path:
    """Download a release of MovieLens and unpack it, as ``fetch_archive`` does.

    Raises:
        ReleaseError: There is no such release.
    """
    if release not in RELEASES:
        raise ReleaseError(f"there is no release {release!r}; there are {', '.join(RELEASES)}")
    return fetch_archive(RELEASES[release], destination, base_url=base_url, progress=progress)


def fetch_archive(wanted: Release, destination: Path, *, base_url: str | None = None, progress: bool = True) -> Path:
    """Download a release and unpack it.

    The archive stays in ``destination`` and is used again while its checksum is the expected one; an archive put there
    by hand is as good. A download goes to a temporary name first and gets its own only when it is whole; after a cut
    download, call again and it starts anew. Where the publisher gives no checksum, only the checksums inside the
    archive are verified, and an archive that is already there is not looked for again: delete it to get a newer one.

    Args:
        wanted: The release.
        destination: Folder for the archive and the unpacked folder; made when it does not exist.
        base_url: Address of the folder that holds the archive, instead of the publisher's (a mirror).
        progress: Show a progress bar on stderr.

    Returns:
        The folder with the unpacked files, ``destination / <folder of the release>``.

    Raises:
        ReleaseError: The archive is not published there, the server cannot be reached, the connection broke, the
            checksum differs, or the archive is cut. Neither an archive nor unpacked files are left by the attempt.
        UnsafeArchiveError: An entry of the archive must not be unpacked. Nothing was unpacked.
    """
    url = f"{(base_url or wanted.base_url).rstrip('/')}/{wanted.archive}"
    try:
        archive = _download(wanted, url, destination, progress)
    except _NotPublishedError as error:
        raise ReleaseError(f"{url} does not exist (404). {_by_hand(wanted, destination)}") from error
    return _unpack(wanted, archive, destination)


def warning_about(release: Release, destination: Path) -> str | None:
    """What to tell people of a fetched archive that is not the known one; None when it is, or when none is known."""
    with (destination / release.archive).open("rb") as archive:
        found = hashlib.file_digest(archive, "sha256").hexdigest()
    if release.known_sha256 in (None, found):
        return None
    return (
        f"{release.archive} is not the known one (SHA-256 {found}, known {release.known_sha256}): its publisher has "
        f"changed it, or it does not come from there. See {release.page}"
    )


def _download(release: Release, url: str, destination: Path, progress: bool) -> Path:
    import pooch  # imports requests: 0.2 s that only a download should cost

    md5 = release.md5 or (None if release.known_sha256 else _published_md5(url, release.archive))
    try:
        path = pooch.retrieve(
            url,
            known_hash=None if md5 is None else f"md5:{md5}",
            fname=release.archive,
            path=destination,
            downloader=Download(progress),
        )
    except OSError as error:  # every error of requests is one
        raise _explained(error, url) from error
    except ValueError as error:  # pooch: the checksum differs
        raise ReleaseError(
            f"{url}: the checksum of the download is not md5 {md5}; it was deleted. Try again; if it happens again, "
            f"the file at that address is not the published one."
        ) from error
    return Path(path)


def _published_md5(url: str, archive: str) -> str | None:
    """The checksum that the publisher gives beside the archive; None where there is none."""
    import pooch

    text = io.BytesIO()
    try:
        pooch.HTTPDownloader(timeout=(CONNECT_SECONDS, SILENCE_SECONDS))(f"{url}.md5", text, None)
    except OSError as error:
        explained = _explained(error, f"{url}.md5")
        if isinstance(explained, _NotPublishedError):
            return None
        raise explained from error
    return _parsed_md5(text.getvalue().decode("utf-8", errors="replace"), f"{url}.md5", archive)


def _parsed_md5(text: str, url: str, archive: str) -> str:
    """The checksum in ``MD5 (name) = hash`` (BSD) or ``hash  name`` (GNU); GroupLens has published both."""
    for pattern in (
        r"MD5 \((?P<name>.+)\) = (?P<md5>[0-9a-fA-F]{32})",
        r"(?P<md5>[0-9a-fA-F]{32})(\s+\*?(?P<name>.+))?",
    ):
        for line in text.splitlines():
            match = re.fullmatch(pattern, line.strip())
            if match and Path(match["name"] or archive).name == archive:
                return match["md5"].lower()
    # A page of a proxy, say. To go on without a checksum would be to trust what came with it.
    raise ReleaseError(f"{url} holds no checksum of {archive}; it begins with {text[:60]!r}")


def _explained(error: OSError, url: str) -> Exception:
    response = getattr(error, "response", None)
    status = getattr(response, "status_code", None)
    if status == 404:
        return _NotPublishedError(url)
    if status is not None:
        return ReleaseError(
            f"{url}: the server answers with status {status}. Try again later, or give another address."
        )
    return ReleaseError(
        f"{url} could not be downloaded ({type(error).__name__}: {error}). Check the network and the proxy settings, "
        f"then try again; no incomplete file was kept."
    )


def _by_hand(release: Release, destination: Path) -> str:
    return (
        f"Download {release.archive} by hand ({release.page}), then either put it into {destination} and repeat this "
        f"command, or {release.by_hand}."
    )


def _unpack(release: Release, archive: Path, destination: Path) -> Path:
    try:
        unpacked = unpack_zip(archive, destination, max_bytes=_MAX_BYTES, max_ratio=_MAX_RATIO)
    except CorruptArchiveError as error:
        archive.unlink()  # else the next attempt would find it and use it again
        raise ReleaseError(f"{error} The archive was deleted; fetch it again.") from error
    folder = destination / release.folder
    missing = [(Path(release.folder) / name).as_posix() for name in release.files if folder / name not in unpacked]
    if missing:
        raise ReleaseError(f"{archive} does not hold {', '.join(missing)}; it is not the release {archive.stem}")
    return folder
