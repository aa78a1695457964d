"""The page of the marts lies where users are told, and nothing else stays of making it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from cinestream_platform.commands import dbt_docs
from cinestream_platform.marts import project
from cinestream_platform.marts.project import DbtFailedError
from cinestream_platform.settings import get_settings
from cinestream_platform.warehouse.connection import PostgresTarget

DBT = """#!/bin/sh
echo "$@" > "$CINESTREAM_HOME/arguments"
echo "$CINESTREAM_DBT_HOST $CINESTREAM_DBT_PASSWORD" > "$DBT_TARGET_PATH/static_index.html"
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home whose warehouse is not asked, and a dbt that notes how it was called."""
    monkeypatch.setenv("CINESTREAM_HOME", str(tmp_path))
    get_settings.cache_clear()
    target = PostgresTarget("db.example.org", 5432, "me", SecretStr("hush"), "warehouse", "prefer")
    monkeypatch.setattr(dbt_docs, "start_and_prepare", lambda *_: target)
    use_dbt(tmp_path, monkeypatch, DBT)
    yield tmp_path
    get_settings.cache_clear()


def use_dbt(home: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    program = home / "dbt-program"
    program.write_text(script)
    program.chmod(0o755)
    monkeypatch.setattr(project, "dbt_executable", lambda: str(program))


def test_the_page_is_in_the_home_and_the_password_only_in_dbts_environment(home: Path):
    page = dbt_docs.make_docs(get_settings())
    assert page == home / "docs" / "index.html"
    assert page.read_text() == "db.example.org hush\n"
    arguments = (home / "arguments").read_text()
    assert arguments.startswith("--no-use-colors docs generate --static ")
    assert "hush" not in arguments
    assert list((home / "dbt" / "target").iterdir()) == []


def test_a_failure_is_dbts_own_message_and_the_last_page_stays(home: Path, monkeypatch: pytest.MonkeyPatch):
    page = dbt_docs.make_docs(get_settings())
    use_dbt(home, monkeypatch, "#!/bin/sh\necho 'Compilation Error in mart_x'\nexit 2\n")
    with pytest.raises(DbtFailedError, match="Compilation Error in mart_x"):
        dbt_docs.make_docs(get_settings())
    assert page.read_text() == "db.example.org hush\n"
    assert list((home / "dbt" / "target").iterdir()) == []
