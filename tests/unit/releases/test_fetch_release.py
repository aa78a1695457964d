"""Fetching a release from a server that behaves well, badly, or not at all (127.0.0.1 stands for the publisher)."""

import hashlib
import io
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from cinestream_platform.releases.archives import UnsafeArchiveError
from cinestream_platform.releases.fetch_release import (
    ReleaseError,
    fetch_archive,
    warning_about,
)
from cinestream_platform.sources.dvdrental.release import ARCHIVE as DVDRENTAL
from cinestream_platform.sources.movielens.release import RELEASE as MOVIELENS

NAMES = ("links", "movies", "ratings", "tags")


def archive_of(*extra: tuple[str, bytes], names: tuple[str, ...] = NAMES) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(f"ml-latest-small/{name}.csv", f"content of {name}\r\n")
        for name, content in extra:
            archive.writestr(name, content)
    return out.getvalue()


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


class Publisher:
    """Files by path; `cut` paths announce their full length and send half of it."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.cut: set[str] = set()
        self.status: dict[str, int] = {}
        self.asked: list[str] = []
        self.url = ""

    def put(self, content: bytes, md5_text: str | None = None) -> None:
        self.files["/ml/ml-latest-small.zip"] = content
        if md5_text is not None:
            self.files["/ml/ml-latest-small.zip.md5"] = md5_text.encode()


@pytest.fixture
def publisher() -> Iterator[Publisher]:
    state = Publisher()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.asked.append(self.path)
            content = state.files.get(self.path)
            self.send_response(state.status.get(self.path, 200 if content is not None else 404))
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            self.wfile.write((content or b"")[: len(content or b"") // 2 if self.path in state.cut else None])

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_port}/ml/"
    yield state
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def fetch(publisher: Publisher, destination: Path, release: str = "ml-latest-small") -> Path:
    return fetch_archive(MOVIELENS.archive(release), destination, base_url=publisher.url, progress=False)


@pytest.mark.parametrize(
    "form", ["MD5 (ml-latest-small.zip) = {}\n", "{}  ml-latest-small.zip\n", "{} *ml-latest-small.zip", "{}\n"]
)
def test_a_release_is_verified_by_the_published_md5_and_unpacked(
    publisher: Publisher, tmp_path: Path, form: str
) -> None:
    content = archive_of()
    publisher.put(content, form.format(md5(content).upper()))
    folder = fetch(publisher, tmp_path / "new")
    assert folder == tmp_path / "new" / "ml-latest-small"
    assert sorted(path.name for path in folder.iterdir()) == [f"{name}.csv" for name in NAMES]
    assert (folder / "tags.csv").read_bytes() == b"content of tags\r\n"
    assert sorted(path.name for path in folder.parent.iterdir()) == ["ml-latest-small", "ml-latest-small.zip"]


def test_a_release_without_a_published_md5_is_fetched(publisher: Publisher, tmp_path: Path) -> None:
    publisher.put(archive_of())
    assert (fetch(publisher, tmp_path) / "ratings.csv").exists()
    assert publisher.asked == ["/ml/ml-latest-small.zip.md5", "/ml/ml-latest-small.zip"]


def test_the_progress_bar_goes_to_stderr(
    publisher: Publisher, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    publisher.put(archive_of())
    fetch_archive(MOVIELENS.archive(None), tmp_path, base_url=publisher.url)
    assert "100%" in capfd.readouterr().err


def test_an_archive_that_is_there_is_used_again_until_the_published_md5_changes(
    publisher: Publisher, tmp_path: Path
) -> None:
    old, new = archive_of(), archive_of(("ml-latest-small/README.txt", b"newer"))
    publisher.put(old, md5(old))
    fetch(publisher, tmp_path)
    fetch(publisher, tmp_path)
    assert publisher.asked.count("/ml/ml-latest-small.zip") == 1
    publisher.put(new, md5(new))
    assert (fetch(publisher, tmp_path) / "README.txt").read_bytes() == b"newer"
    assert publisher.asked.count("/ml/ml-latest-small.zip") == 2


def test_a_built_in_md5_needs_no_network_when_the_archive_is_there(publisher: Publisher, tmp_path: Path) -> None:
    content = archive_of()
    fixed = replace(MOVIELENS.archive(None), archive="ml-fixed.zip", md5=md5(content))
    (tmp_path / "ml-fixed.zip").write_bytes(content)
    folder = fetch_archive(fixed, tmp_path, base_url=publisher.url, progress=False)
    assert (folder / "movies.csv").exists()
    assert publisher.asked == []


def test_a_built_in_md5_is_not_overruled_by_the_server(publisher: Publisher, tmp_path: Path) -> None:
    content = archive_of()
    publisher.files = {"/ml/ml-25m.zip": content, "/ml/ml-25m.zip.md5": md5(content).encode()}
    with pytest.raises(ReleaseError, match="is not md5 6b51fb2759a8657d3bfcbfc42b592ada"):
        fetch(publisher, tmp_path, "ml-25m")
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_checksum_leaves_no_file(publisher: Publisher, tmp_path: Path) -> None:
    publisher.put(archive_of(), "0" * 32)
    with pytest.raises(ReleaseError, match=r"the checksum of the download is not md5 0{32}; it was deleted"):
        fetch(publisher, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "text", ["<html>Sign in</html>", "", f"{'0' * 32}  ml-25m.zip", "MD5 (ml-latest-small.zip) = 12"]
)
def test_a_checksum_file_that_does_not_speak_of_the_archive_is_an_error(
    publisher: Publisher, tmp_path: Path, text: str
) -> None:
    publisher.put(archive_of(), text)
    with pytest.raises(ReleaseError, match=r"zip\.md5 holds no checksum of ml-latest-small\.zip"):
        fetch(publisher, tmp_path)
    assert publisher.asked == ["/ml/ml-latest-small.zip.md5"]


def test_a_missing_archive_tells_how_to_go_on_by_hand(publisher: Publisher, tmp_path: Path) -> None:
    with pytest.raises(ReleaseError) as caught:
        fetch(publisher, tmp_path)
    assert f"{publisher.url}ml-latest-small.zip does not exist (404)" in str(caught.value)
    assert "by hand" in str(caught.value)
    assert "`cinestream land movielens <folder>`" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", ["/ml/ml-latest-small.zip", "/ml/ml-latest-small.zip.md5"])
def test_a_server_error_is_not_taken_for_a_missing_file(publisher: Publisher, tmp_path: Path, path: str) -> None:
    publisher.put(archive_of())
    publisher.status[path] = 503
    with pytest.raises(ReleaseError, match=r"answers with status 503"):
        fetch(publisher, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_refused_connection_names_the_address(tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match=r"http://127\.0\.0\.1:9/ml-latest-small\.zip.* could not be downloaded"):
        fetch_archive(MOVIELENS.archive(None), tmp_path, base_url="http://127.0.0.1:9", progress=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("with_md5", [True, False])
def test_a_cut_download_leaves_no_file_and_the_next_attempt_succeeds(
    publisher: Publisher, tmp_path: Path, with_md5: bool
) -> None:
    content = archive_of()
    publisher.put(content, md5(content) if with_md5 else None)
    publisher.cut.add("/ml/ml-latest-small.zip")
    with pytest.raises(ReleaseError, match="no incomplete file was kept"):
        fetch(publisher, tmp_path)
    assert list(tmp_path.iterdir()) == []
    publisher.cut.clear()
    assert (fetch(publisher, tmp_path) / "links.csv").exists()


def test_an_archive_that_was_published_cut_is_deleted(publisher: Publisher, tmp_path: Path) -> None:
    publisher.put(archive_of()[:-40])
    with pytest.raises(ReleaseError, match=r"cannot be unpacked .* The archive was deleted; fetch it again"):
        fetch(publisher, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("entry", "content"), [("../evil.csv", b"x"), ("ml-latest-small/bomb.csv", bytes(4 * 1024 * 1024))]
)
def test_an_unsafe_archive_is_not_unpacked(publisher: Publisher, tmp_path: Path, entry: str, content: bytes) -> None:
    publisher.put(archive_of((entry, content)))
    with pytest.raises(UnsafeArchiveError, match=entry):
        fetch(publisher, tmp_path / "in")
    assert [path.name for path in (tmp_path / "in").iterdir()] == ["ml-latest-small.zip"]
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_an_archive_of_something_else_is_named_as_such(publisher: Publisher, tmp_path: Path) -> None:
    publisher.put(archive_of(names=("links", "movies")))
    with pytest.raises(ReleaseError, match=r"does not hold ml-latest-small/ratings\.csv, ml-latest-small/tags\.csv"):
        fetch(publisher, tmp_path)


def test_an_unknown_release_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ReleaseError, match="no release 'ml-1m'; there are ml-latest-small, ml-25m, ml-32m"):
        MOVIELENS.archive("ml-1m")
    assert all(release.archive == f"{name}.zip" for name, release in MOVIELENS.archives.items())


def zipped(*entries: tuple[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return out.getvalue()


def test_dvdrental_is_fetched_without_asking_for_an_md5_and_another_archive_is_taken_with_a_warning(
    publisher: Publisher, tmp_path: Path
) -> None:
    content = zipped(("dvdrental.tar", b"newer"))
    publisher.files["/ml/dvdrental.zip"] = content
    folder = fetch_archive(DVDRENTAL, tmp_path, base_url=publisher.url, progress=False)
    assert publisher.asked == ["/ml/dvdrental.zip"]
    assert (folder / "dvdrental.tar").read_bytes() == b"newer"
    found = hashlib.sha256(content).hexdigest()
    warning = warning_about(DVDRENTAL, tmp_path)
    assert warning is not None
    assert f"SHA-256 {found}, known 0be42f2d70a613ecd9f50b92b9a3d0dc97c37c6d0af8105022e1e1bd193f5b56" in warning
    assert warning_about(replace(DVDRENTAL, known_sha256=found), tmp_path) is None


def test_an_archive_that_is_no_dvdrental_is_named_as_such(publisher: Publisher, tmp_path: Path) -> None:
    publisher.files["/ml/dvdrental.zip"] = zipped(("chinook.tar", b""))
    with pytest.raises(ReleaseError, match=r"does not hold dvdrental\.tar; it is not the release dvdrental"):
        fetch_archive(DVDRENTAL, tmp_path, base_url=publisher.url, progress=False)


def test_a_missing_dvdrental_tells_how_to_go_on_by_hand(publisher: Publisher, tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match=r"postgresqltutorial.* `cinestream load-source dvdrental <dvdrental.zip>`"):
        fetch_archive(DVDRENTAL, tmp_path, base_url=publisher.url, progress=False)
