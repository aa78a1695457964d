"""``cinestream new-source``: what it makes of sample files, and what it refuses in one sentence."""

from __future__ import annotations

import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from cinestream_platform.commands.new_source import writing
from cinestream_platform.commands.new_source.example import example_dimension
from cinestream_platform.commands.new_source.inference import Draft, read_folder
from cinestream_platform.commands.new_source.names import NewSourceError, identifier, singular
from cinestream_platform.commands.new_source.plan import Plan
from cinestream_platform.commands.new_source.writing import new_source
from cinestream_platform.declarations.column import BIGINT, BOOLEAN, DATE, DOUBLE, INTEGER, TEXT, TIMESTAMP, numeric
from cinestream_platform.reading.csv_reader import read_csv

ROOT = Path(__file__).parents[3]

TRAILERS = """\
Trailer ID,Título original,order,Release Date,Budget USD,Rating,aktiv,Länge (Min),Contact Email,Published At
1,Ärger im Büro,first,2024-01-05,1200000.50,4.5,true,2,a@example.com,2024-01-05 10:00:00
2,"Heat, again",second,2024-02-29,,3.25,false,3,b@example.com,2024-02-29T11:30:00Z
3,Le Dîner,first,2023-12-31,98000.00,NA,true,1,,2023-12-31 00:00:00
4,Žluťoučký kůň,,2022-07-01,5.1,4.0,true,2,d@example.com,2022-07-01 08:00:00
"""
VIEWS = """\
Trailer ID,day,views,share
1,2024-05-01,10,0.5
1,2024-05-02,12,0.25
2,2024-05-01,10,
3,2024-05-02,0,1
"""
CHANNELS = """\
code,name,since,open_date
TV,Television,01.02.2020,2020-02-01
WEB,Web,03.04.2021,
CIN,Cinema,05.06.2019,2019-06-05
"""
AWKWARD = {"Trailers.csv": TRAILERS, "views 2024-05-01.csv": VIEWS, "channels.csv": CHANNELS}


def folder_of(place: Path, files: dict[str, str | bytes]) -> Path:
    """A folder with these files."""
    place.mkdir(exist_ok=True)
    for name, content in files.items():
        (place / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return place


def draft_of(place: Path, text: str, name: str = "things.csv") -> Draft:
    """The draft of one file."""
    [draft] = read_folder("trailers", folder_of(place / "one", {name: text}))
    return draft


# ---- names -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Trailer ID", "trailer_id"),
        ("trailerId", "trailer_id"),
        ("HTTPStatus", "http_status"),
        ("Título original", "titulo_original"),
        ("Länge (Min)", "lange_min"),
        ("Straße", "strasse"),
        ("  price/unit ", "price_unit"),
        ("_id", "id"),
        ("2024", None),
        ("название", None),
        ("a→я", None),
        ("", None),
        ("%", None),
    ],
)
def test_a_header_is_a_name_without_case_blanks_and_accents(text: str, name: str | None) -> None:
    assert identifier(text) == name


def test_a_dimension_is_named_after_one_of_its_rows() -> None:
    several = ("movies", "tv_series", "countries", "boxes", "status", "addresses", "news", "views", "ties")
    one = ["movie", "tv_series", "country", "box", "status", "address", "news", "view", "tie"]
    assert [singular(name) for name in several] == one


# ---- types, empty fields and keys ------------------------------------------------------------------------------------


def test_types_are_those_of_which_the_reader_takes_every_value(tmp_path: Path) -> None:
    drafts = {draft.table.name: draft for draft in read_folder("trailers", folder_of(tmp_path / "a", AWKWARD))}
    types = {column.name: column.type for column in drafts["trailers"].table.columns if column.source_name}
    assert types == {
        "trailer_id": INTEGER,
        "titulo_original": TEXT,
        "order": TEXT,
        "release_date": DATE,
        "budget_usd": numeric(11, 2),
        "rating": numeric(10, 2),
        "aktiv": BOOLEAN,
        "lange_min": INTEGER,
        "contact_email": TEXT,
        "published_at": TIMESTAMP,
    }
    assert [c.name for c in drafts["trailers"].table.columns if c.nullable] == [
        *("order", "budget_usd", "rating", "contact_email")
    ]
    assert [c.name for c in drafts["trailers"].table.columns if c.is_personal] == ["contact_email"]
    assert drafts["trailers"].feed.null_words == ("NA",)
    assert drafts["channels"].table.column("since").type == TEXT, "01.02.2020 is a date that no feed reads"
    assert {name: draft.table.natural_key for name, draft in drafts.items()} == {
        "channels": ("code",),
        "trailers": ("trailer_id",),
        "views": ("trailer_id", "day"),
    }


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["007", "12"], TEXT),
        (["+49301", "12"], TEXT),
        (["1", "3000000000"], BIGINT),
        (["1", "99999999999999999999"], TEXT),
        (["1.5", "2"], numeric(10, 1)),
        (["1e-3", "2.5"], DOUBLE),
        (["0.1234567890123", "2"], DOUBLE),
        (["1,5", "2,5"], TEXT),
        (["2024-02-30", "2024-02-01"], TEXT),
        (["2024-02-01", "2024-02-01 10:00"], TIMESTAMP),
        (["t", "f"], BOOLEAN),
        (["", ""], TEXT),
    ],
)
def test_what_is_no_plain_number_or_date_stays_a_text(tmp_path: Path, values: list[str], expected: object) -> None:
    lines = "".join(f'{number},"{value}"\n' for number, value in enumerate(values))
    assert draft_of(tmp_path, f"id,value\n{lines}").table.column("value").type == expected


def test_a_time_that_is_still_to_come_may_come(tmp_path: Path) -> None:
    soon = (datetime.now() + timedelta(days=400)).isoformat(sep=" ", timespec="seconds")
    table = draft_of(tmp_path, f"id,starts,ended\n1,{soon},2020-01-01 10:00:00\n").table
    assert [column.may_be_future for column in table.columns][:3] == [False, True, False]


def test_a_name_does_not_promise_another_type(tmp_path: Path) -> None:
    table = draft_of(tmp_path, "id,released_at,sold_at,song_key\n1,2024-01-01,never,abc\n").table
    assert [column.name for column in table.columns][:4] == ["id", "released_date", "sold_text", "song_code"]
    assert [column.source_name for column in table.columns][:4] == ["id", "released_at", "sold_at", "song_key"]


def test_rows_that_nothing_tells_apart_are_told_by_their_line(tmp_path: Path) -> None:
    draft = draft_of(tmp_path, "song,plays\na,1\na,1\nb,\n")
    assert draft.table.natural_key == ("_line",)
    made = example_dimension([draft])
    assert (made.name, made.is_distinct, made.key.column.name) == ("dim_song", True, "song")


@given(
    rows=st.lists(
        st.tuples(
            st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=8),
            st.sampled_from(["", "1", "2.5", "-3", "007", "1e5", "NA", "2024-01-31", "2024-01-31 10:00", "t", "x"]),
        ),
        min_size=1,
        max_size=8,
    )
)
@settings(max_examples=60, deadline=None)
def test_the_draft_loads_its_own_sample(tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]]) -> None:
    place = tmp_path_factory.mktemp("sample")
    lines = "".join('"{}","{}",{}\n'.format(text.replace('"', '""'), value, n) for n, (text, value) in enumerate(rows))
    draft = draft_of(place, f"text,value,n\n{lines}")
    batches = list(read_csv(place / "one" / "things.csv", draft.feed, file_id=1, not_after=datetime.now(UTC)))
    assert sum(batch.rows.height for batch in batches) == len(rows)
    assert sum(batch.rejected.height for batch in batches) == 0


# ---- what is refused -------------------------------------------------------------------------------------------------

REFUSED: list[tuple[str, dict[str, str | bytes], str]] = [
    ("netflix", {"a.csv": "id,x\n1,2\n"}, "there is a source netflix already"),
    ("My-Source", {"a.csv": "id,x\n1,2\n"}, "cannot name a source"),
    ("class", {"a.csv": "id,x\n1,2\n"}, "cannot name a source"),
    ("catalog", {"a.csv": "id,x\n1,2\n"}, "uses itself"),
    ("operations", {"a.csv": "id,x\n1,2\n"}, "docs/operations.md exists already"),
    ("new", {}, "is empty"),
    ("new", {"a.csv": "1,Heat,1995\n2,Ronin,1998\n"}, "a.csv: the first line is not a header: field 1 has the form 9"),
    ("new", {"a.csv": "id,,x\n1,2,3\n"}, "a.csv: field 2 of the header is empty"),
    ("new", {"a.csv": "id,название\n1,2\n"}, "the column 'название' (field 2) needs a name"),
    ("new", {"a.csv": "id,ID\n1,2\n"}, "columns 'id' and 'ID' are one name"),
    ("new", {"a.csv": '"id","a,b"\n1,2\n'}, "has no comma, quote"),
    ("new", {"a.csv": f"id,{'x' * 50}\n1,2\n"}, "has over 40 characters"),
    ("new", {"a.csv": "id;x\n1;2\n"}, "separated by ';'"),
    ("new", {"a.csv": "id\n1\n"}, "has a single column"),
    ("new", {"a.csv": "id,x\n"}, "has a header and no record"),
    ("new", {"a.csv": ""}, "a.csv is empty. A sample file has a header"),
    ("new", {"a.csv": b"PK\x03\x04zip"}, "a.csv: this is a zip archive"),
    ("new", {"a.csv": "id,größe\n1,2\n".encode("utf-16")}, "a.csv: this is UTF-16 text"),
    ("new", {"a.csv": "id,größe\n1,2\n".encode("latin-1")}, "a.csv: the header line is not readable as UTF-8"),
    ("new", {"a.csv": "id,x\n1,2\n", "notes.txt": "hello"}, "notes.txt is not a CSV file"),
    ("new", {"2024.csv": "id,x\n1,2\n"}, "'2024.csv' cannot name a raw table"),
    ("new", {"class.csv": "id,x\n1,2\n"}, "'class.csv' cannot name a raw table"),
    ("new", {"dim_a.csv": "id,x\n1,2\n"}, "'dim_a.csv' cannot name a raw table"),
    ("new", {"a_2024-05-01.csv": "id,x\n1,2\n", "a_2024-05-02.csv": "id,x\n2,2\n"}, "both name the table a"),
    ("new", {"a.csv": "x,y\n,1\n1,\n"}, "every column of every file has an empty field"),
]


@pytest.mark.parametrize(("name", "files", "sentence"), REFUSED)
def test_what_cannot_be_taken_is_refused_in_a_sentence_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, files: dict[str, str | bytes], sentence: str
) -> None:
    monkeypatch.setattr(writing, "_write", lambda plan: pytest.fail("it would be written"))
    with pytest.raises(NewSourceError) as refused:
        list(new_source(name, folder_of(tmp_path / "samples", files)))
    assert sentence in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(NewSourceError, match=r"there is no folder .*nowhere"):
        list(new_source("trailers", tmp_path / "nowhere"))


# ---- what is written -------------------------------------------------------------------------------------------------

TAKEN = ("cinestream_platform/catalog.py", "docs/README.md", "dbt_project/models/sources.yml")


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository of which only what is edited is there; packages in it are not imported."""
    root = tmp_path / "checkout"
    for path in TAKEN:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, root / path)
    monkeypatch.setattr(writing, "ROOT", root)
    monkeypatch.setattr(writing, "SOURCES_FILE", root / TAKEN[2])
    monkeypatch.setattr(writing, "_declared", lambda name: ())
    return root


def files_below(root: Path) -> dict[str, str]:
    """Every file with its text."""
    return {path.relative_to(root).as_posix(): path.read_text() for path in root.rglob("*") if path.is_file()}


def test_a_failure_half_way_leaves_nothing_behind(
    tmp_path: Path, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = files_below(checkout)

    def fail(name: str) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(writing, "_declared", fail)
    with pytest.raises(OSError, match="the disk is full"):
        list(new_source("trailers", folder_of(tmp_path / "samples", AWKWARD)))
    assert files_below(checkout) == before
    assert not (checkout / "tests").exists()


def test_the_catalogue_lists_new_sources_in_the_order_of_their_names(tmp_path: Path, checkout: Path) -> None:
    for name in ("zebra", "apes"):
        list(new_source(name, folder_of(tmp_path / name, {"a.csv": "id,x\n1,a\n"})))
    catalog = (checkout / TAKEN[0]).read_text()
    imports = [line for line in catalog.splitlines() if ".source import SOURCE as" in line]
    assert imports == sorted(imports)
    assert len(imports) == 6
    assert "        ZEBRA,\n        APES,\n        # `cinestream new-source`" in catalog
    index = (checkout / TAKEN[1]).read_text()
    assert "| Zebra | [zebra.md](zebra.md) |\n| Apes | [apes.md](apes.md) |\n<!--" in index


SAMPLES: dict[str, dict[str, str | bytes]] = {
    "trailers": AWKWARD,
    "plain": {"a.csv": "id,x\n1,a\n"},
    "log": {"log.csv": "song,plays\na,1\na,1\nb,\n"},
    "words": {
        "date.csv": "id,from,to\nx,a,b\ny,a,c\n",
        "source.csv": "key,is_x,active,on\nx,7,t,a\ny,8,f,a\n",
        "order.csv": "order,user\na,1\nb,2\n",
    },
    "wide": {
        "a_table_with_a_rather_long_one.csv": ",".join(f"A quite long name of column {n}" for n in range(30))
        + "\n"
        + ",".join(["1"] * 30)
        + "\n",
    },
    "pairs": {"seats.csv": "row no,seat no,price\n1,1,9.50\n1,2,9.50\n2,1,8.00\n2,2,7.25\n"},
    "values": {"a.csv": f"{'x' * 40},{'y' * 40}\n1,a\n1,a\n"},
    "times": {"times.csv": "at,value\n2024-01-01 10:00:00,0.000001\n2024-01-01 10:00:00,12345678901234567.5\n"},
}


@pytest.mark.parametrize("name", SAMPLES)
def test_what_is_written_is_clean_code_that_works(tmp_path: Path, name: str) -> None:
    drafts = read_folder(name, folder_of(tmp_path / "samples", SAMPLES[name]))
    files = Plan(name, drafts, example_dimension(drafts)).files
    root = tmp_path / "made"
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    ours = [
        "--config",
        str(ROOT / "pyproject.toml"),
        "--config",
        "lint.isort.known-first-party=['cinestream_platform']",
    ]
    for check in (["check"], ["format", "--check", "--diff"]):
        command = [sys.executable, "-m", "ruff", *check, *ours, "--no-cache", "."]
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    for path, text in files.items():
        assert text.endswith("\n"), path
        assert not text.endswith("\n\n"), path
        assert "\n\n\n\n" not in text, path
        assert path.endswith(".md") or all(len(line) <= 120 for line in text.splitlines()), path
    [model] = yaml.safe_load(next(text for path, text in files.items() if path.endswith(".yml")))["models"]
    assert len(model["columns"]) == 2


PROVE = """
import sys
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

import cinestream_platform.sources as sources
from cinestream_platform.declarations.sample import SampleSize
from cinestream_platform.reading.csv_reader import read_csv
from cinestream_platform.warehouse.ddl import create_statements

root = Path(sys.argv[1])
sources.__path__.append(str(root / "cinestream_platform" / "sources"))
for name in sys.argv[2:]:
    source = import_module(f"cinestream_platform.sources.{name}.source").SOURCE
    generator = import_module(f"cinestream_platform.sources.{name}.sample.generator")
    assert all(create_statements(table) for table in source.tables)
    made, again = root / "sample" / name, root / "again" / name
    counts = generator.generate(made, SampleSize())
    assert counts == generator.generate(again, SampleSize())
    for feed in source.feeds:
        [path] = [path for path in made.iterdir() if feed.takes(path.name)]
        assert path.read_bytes() == (again / path.name).read_bytes()
        batches = list(read_csv(path, feed, file_id=1, not_after=datetime.now(UTC)))
        rejected = [rule for batch in batches for rule in batch.rejected["rule"]]
        assert rejected == ["record_field_count"], (name, rejected)
        rows = [row for batch in batches for row in batch.rows.select(feed.table.natural_key).rows()]
        assert len(rows) + 1 == counts.rows[feed.dataset]
        assert len(set(rows)) == len(rows), name

import pytest
sys.exit(pytest.main(["-q", "-p", "no:xdist", "-p", "no:cacheprovider", "--rootdir", str(root), str(root / "tests")]))
"""


def test_generated_samples_load_but_for_their_dirt_and_the_examples_pass_their_tests(tmp_path: Path) -> None:
    root = tmp_path / "made"
    for name, samples in SAMPLES.items():
        drafts = read_folder(name, folder_of(tmp_path / name, samples))
        for path, text in Plan(name, drafts, example_dimension(drafts)).files.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text)
    command = [sys.executable, "-c", PROVE, str(root), *SAMPLES]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(SAMPLES)} passed" in done.stdout
