"""Download and unpack what a source's publisher offers.

What belongs here: how a download becomes a folder of files that can be trusted. Which archives there are, and what they
hold, is the business of the source (``sources/<name>/release.py``); landing or restoring them that of the commands.
"""

import hashlib
import io
import re
from pathlib import Path

from cinestream_platform.declarations.release import Archive, ReleaseError
from cinestream_platform.releases.archives import CorruptArchiveError, unpack_zip
from cinestream_platform.releases.download import CONNECT_SECONDS, SILENCE_SECONDS, Download
from cinestream_platform.settings import with_proxies_of_the_shell

# ml-32m, the largest release, unpacks to 0.9 GB and ml-25m to 1.2 GB, both at about 5:1.
_MAX_BYTES = 8 * 1024**3
_MAX_RATIO = 50.0


class _NotPublishedError(Exception):
    """The server answers that there is no such file (404)."""


def fetch_archive(wanted: Archive, destination: Path, *, base_url: str | None = None, progress: bool = True) -> Path:
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
        with with_proxies_of_the_shell():
            archive = _download(wanted, url, destination, progress)
    except _NotPublishedError as error:
        raise ReleaseError(f"{url} does not exist (404). {_by_hand(wanted, destination)}") from error
    return _unpack(wanted, archive, destination)


def warning_about(release: Archive, destination: Path) -> str | None:
    """What to tell people of a fetched archive that is not the known one; None when it is, or when none is known."""
    with (destination / release.archive).open("rb") as archive:
        found = hashlib.file_digest(archive, "sha256").hexdigest()
    if release.known_sha256 in (None, found):
        return None
    return (
        f"{release.archive} is not the known one (SHA-256 {found}, known {release.known_sha256}): its publisher has "
        f"changed it, or it does not come from there. See {release.page}"
    )


def _download(release: Archive, url: str, destination: Path, progress: bool) -> Path:
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


def _by_hand(release: Archive, destination: Path) -> str:
    return (
        f"Download {release.archive} by hand ({release.page}), then either put it into {destination} and repeat this "
        f"command, or {release.by_hand}."
    )


def _unpack(release: Archive, archive: Path, destination: Path) -> Path:
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
