"""Where the operational database is, and what is refused before any server is asked."""

import io
import zipfile
from pathlib import Path

import pytest
from pydantic import SecretStr

from cinestream_platform.releases.archives import CorruptArchiveError
from cinestream_platform.settings import Settings
from cinestream_platform.sources.dvdrental.database import SourceDatabaseError, source_target
from cinestream_platform.sources.dvdrental.load_database import load_archive, load_sample
from cinestream_platform.sources.dvdrental.settings import DvdrentalSettings
from cinestream_platform.warehouse.connection import PostgresUnreachableError, connect

HUSH = SecretStr("hush-hush")


def test_a_named_host_is_the_operational_database_whatever_the_warehouse_is() -> None:
    named = DvdrentalSettings(
        host="shop.example", port=6543, user="clerk", password=HUSH, database="pagila", sslmode="require"
    )
    target = source_target(Settings(postgres_host="warehouse.example").with_own(named))
    assert str(target) == "postgresql://clerk@shop.example:6543/pagila"
    assert (target.password, target.sslmode) == (HUSH, "require")
    assert "hush" not in repr(target)


def test_without_one_it_is_on_the_external_warehouses_server_with_a_reader_of_its_own() -> None:
    warehouse = {"postgres_host": "warehouse.example", "postgres_user": "owner", "postgres_sslmode": "verify-full"}
    target = source_target(Settings(**warehouse).with_own(DvdrentalSettings(user="not.used", password=HUSH)))
    assert str(target) == "postgresql://dvdrental_reader@warehouse.example:5432/dvdrental"
    assert (target.password, target.sslmode) == (HUSH, "verify-full")
    with pytest.raises(SourceDatabaseError, match="CINESTREAM_DVDRENTAL_PASSWORD is not set"):
        source_target(Settings(**warehouse).with_own(DvdrentalSettings(password=None)))


def test_a_server_that_does_not_answer_is_named_with_its_own_variables() -> None:
    target = source_target(Settings().with_own(DvdrentalSettings(host="127.0.0.1", port=1, password=HUSH)))
    with pytest.raises(PostgresUnreachableError, match=r"are CINESTREAM_DVDRENTAL_\* right\?$"), connect(target):
        pass


def test_a_database_of_somebody_elses_is_not_written(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path).with_own(DvdrentalSettings(host="shop.example"))
    for load in (lambda: load_archive(settings, tmp_path, replace=True), lambda: load_sample(settings, replace=True)):
        with pytest.raises(SourceDatabaseError, match=r"CINESTREAM_DVDRENTAL_HOST names shop.example: .* not ours"):
            load()
    assert list(tmp_path.iterdir()) == []


def zipped(*members: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name in members:
            archive.writestr(name, b"PGDMP")
    return out.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("dvdrental.tar", None, r"there is no file .*dvdrental\.tar"),
        (
            "dvdrental.tar",
            b"id,name\n1,film\n",
            r"dvdrental\.tar is not an archive of pg_dump: pg_restore: error: .*valid",
        ),
        ("dvdrental.tar", b"", r"is not an archive of pg_dump: pg_restore: error: input file is too short"),
        ("dump.backup", b"--\n-- PostgreSQL database dump\n--\n\n" + b"--\n" * 200, r"text format dump"),
        ("dvdrental.zip", zipped("dvdrental.tar"), r"dvdrental\.zip is not an archive of pg_dump"),
        ("dvdrental.zip", zipped("chinook.tar"), r"holds chinook\.tar, not dvdrental\.tar alone"),
        ("dvdrental.zip", zipped("dvdrental.tar", "README"), r"holds dvdrental\.tar, README, not dvdrental\.tar alone"),
        ("dvdrental.zip", zipped(), r"holds nothing, not dvdrental\.tar alone"),
    ],
)
def test_a_file_that_is_no_archive_is_refused_before_a_server_is_asked(
    tmp_path: Path, name: str, content: bytes | None, problem: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceDatabaseError, match=problem):
        load_archive(Settings(home=tmp_path / "home"), tmp_path / name)
    assert not (tmp_path / "home").exists()


def test_a_cut_zip_is_refused(tmp_path: Path) -> None:
    (tmp_path / "dvdrental.zip").write_bytes(zipped("dvdrental.tar")[:-30])
    with pytest.raises(CorruptArchiveError, match=r"dvdrental\.zip"):
        load_archive(Settings(home=tmp_path / "home"), tmp_path / "dvdrental.zip")
