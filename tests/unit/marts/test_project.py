"""The dbt project is parsed when needed, and only then."""

import shutil
from pathlib import Path

import pytest

from cinestream_platform.marts import project
from cinestream_platform.marts.project import MartsNotPreparedError, ensure_manifest, manifest_path, require_manifest
from cinestream_platform.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", postgres_database="warehouse")


@pytest.fixture
def parses(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """A copy of the project, and a `dbt parse` that only notes for which database it ran."""
    copy = tmp_path / "dbt_project"
    shutil.copytree(project.PROJECT_DIR, copy, ignore=shutil.ignore_patterns("target", "logs"))
    monkeypatch.setattr(project, "PROJECT_DIR", copy)
    done: list[str] = []

    def parse(target: Path, database: str) -> None:
        done.append(database)
        (target / "manifest.json").write_text(f'{{"parse": {len(done)}}}')

    monkeypatch.setattr(project, "_parse", parse)
    return done


def test_the_manifest_lies_below_home(settings: Settings) -> None:
    assert manifest_path(settings) == settings.home_dir / "dbt" / "target" / "manifest.json"


def test_a_missing_manifest_is_named_with_its_remedy(settings: Settings) -> None:
    with pytest.raises(MartsNotPreparedError, match=r"manifest\.json is missing.*ensure_manifest\(settings\)"):
        require_manifest(settings)


def test_an_unchanged_project_is_parsed_once(settings: Settings, parses: list[str]) -> None:
    assert ensure_manifest(settings) == ensure_manifest(settings) == require_manifest(settings)
    assert parses == ["warehouse"]


def test_touching_a_file_without_changing_it_does_not_parse_again(settings: Settings, parses: list[str]) -> None:
    ensure_manifest(settings)
    (project.PROJECT_DIR / "dbt_project.yml").touch()
    ensure_manifest(settings)
    assert len(parses) == 1


@pytest.mark.parametrize("change", ["edit", "remove", "add", "database"])
def test_every_change_of_the_project_is_noticed(settings: Settings, parses: list[str], change: str) -> None:
    ensure_manifest(settings)
    macro = project.PROJECT_DIR / "macros" / "requested_partitions.sql"
    if change == "edit":
        macro.write_text(macro.read_text() + "\n")
    elif change == "remove":
        macro.unlink()
    elif change == "add":
        macro.with_name("new.sql").touch()
    else:
        settings = settings.model_copy(update={"postgres_database": "other"})
    assert ensure_manifest(settings).read_text() == '{"parse": 2}'


def test_artifacts_in_the_project_folder_do_not_count_as_a_change(settings: Settings, parses: list[str]) -> None:
    ensure_manifest(settings)
    (project.PROJECT_DIR / "target").mkdir()
    (project.PROJECT_DIR / "target" / "manifest.json").touch()
    ensure_manifest(settings)
    assert len(parses) == 1


def test_a_failed_parse_keeps_the_old_manifest_and_is_tried_again(
    settings: Settings, parses: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ensure_manifest(settings)
    (project.PROJECT_DIR / "macros" / "requested_partitions.sql").write_text("{% macro")

    def fail(target: Path, database: str) -> None:
        raise MartsNotPreparedError("no")

    with monkeypatch.context() as patch:
        patch.setattr(project, "_parse", fail)
        for _ in range(2):
            with pytest.raises(MartsNotPreparedError):
                ensure_manifest(settings)
    assert manifest_path(settings).read_text() == '{"parse": 1}'
    assert [path.name for path in manifest_path(settings).parent.iterdir() if path.is_dir()] == []
    ensure_manifest(settings)
    assert len(parses) == 2
