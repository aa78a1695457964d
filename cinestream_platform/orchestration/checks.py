"""Asset checks made from declarations: every rule of a table reports, also when it rejects nothing.

Raw assets report what their files in the ledger show, and relationship reports orphans among their rows; dims and
facts what validation found before they were published. Rules that stop a publish are ERRORs; rejected records are
WARNings, since they are kept and counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dagster import (
    AssetCheckResult,
    AssetCheckSeverity,
    AssetCheckSpec,
    AssetKey,
    MetadataValue,
    TableColumn,
    TableRecord,
    TableSchema,
)
from psycopg import Connection
from psycopg.sql import SQL, Composable, Identifier, Literal

from cinestream_platform.declarations.column import Kind
from cinestream_platform.declarations.feed import Feed
from cinestream_platform.declarations.frames import named_rules
from cinestream_platform.declarations.star_table import Fact, Type2Dimension, versioned_dimensions
from cinestream_platform.declarations.table import Dimension, Table
from cinestream_platform.ledger.deliveries import BEGINNING
from cinestream_platform.messages import MAX_METADATA, bounded
from cinestream_platform.publishing.validation import GRAIN_RULE, table_rules
from cinestream_platform.reading.blocks import FILE_WARNINGS
from cinestream_platform.reading.csv_records import FORMAT_RULES
from cinestream_platform.warehouse.profile import SourceProfile
from cinestream_platform.warehouse.raw_files import rows_by_file

if TYPE_CHECKING:
    from cinestream_platform.orchestration.io_managers import Build

SAMPLE_ROWS = 5
MAX_SHOWN = 500
"""Characters of one value in a sample."""
SHRINK_LIMIT = 0.5
"""A publication with less than this share of the rows before is reported."""

RECORD_FORMAT, ROWS_ACCOUNTED, FILES_READABLE, LAST_RECORD, EVENTS_AGREE, WRITTEN_AS_DECLARED = (
    "record_format",
    "rows_accounted",
    "files_readable",
    "last_record_complete",
    "events_agree",
    "written_as_declared",
)
PUBLISHED_AS_BUILT, ROW_COUNT_BOUNDS, REFERENCES_VALIDATED, ONE_VERSION = (
    "published_as_built",
    "row_count_bounds",
    "references_validated",
    "one_version_at_a_time",
)
RELATIONS_HOLD = "relations_hold"


def raw_rules(feed: Feed) -> dict[str, str]:
    """Check name to description: one check for each rule of a column, one for the format of records."""
    rules = {RECORD_FORMAT: "; ".join(FORMAT_RULES.values())}
    return rules | {named.name: named.description for named in named_rules(feed.table, from_text=True)}


def raw_check_specs(feed: Feed, key: AssetKey) -> list[AssetCheckSpec]:
    """The checks of a raw asset."""
    descriptions = raw_rules(feed) | {
        ROWS_ACCOUNTED: "Of every loaded file: its records = its rows in the table + its rows in ops.rejected_row.",
        FILES_READABLE: "No file of this feed is parked.",
        LAST_RECORD: "Every loaded file ends with a line end; a missing one may mean that the file was cut.",
        WRITTEN_AS_DECLARED: "Nothing was accepted that is written in another form than declared: 862.0 in a column of "
        f"whole numbers, the noise of binary floats in decimals, {', '.join(FILE_WARNINGS.values())}. Such values are "
        "read exactly.",
    }
    if feed.table.natural_key:
        descriptions[EVENTS_AGREE] = "Records of the same event say the same; where they differ the latest counts."
    return [AssetCheckSpec(name, asset=key, description=text) for name, text in descriptions.items()]


def raw_check_results(conn: Connection[Any], feed: Feed, key: AssetKey) -> Iterator[AssetCheckResult]:
    """What the ledger shows of all loaded files of a feed."""
    rejected = _rejected_by_rule(conn, feed)
    for name in raw_rules(feed):
        rules = list(FORMAT_RULES) if name == RECORD_FORMAT else [name]
        samples = [sample for rule in rules for sample in rejected.get(rule, (0, []))[1]]
        count = sum(rejected.get(rule, (0, []))[0] for rule in rules)
        yield check_result(key, name, count == 0, {"rejected_rows": count}, samples, AssetCheckSeverity.WARN)
    yield _accounted(conn, feed, key)
    parked = conn.execute(
        "SELECT key, reason FROM ops.landed_file WHERE source = %s AND dataset = %s AND status = 'parked' ORDER BY key",
        (feed.source, feed.dataset),
    ).fetchall()
    sample = [{"key": name, "reason": reason} for name, reason in parked[:SAMPLE_ROWS]]
    yield check_result(key, FILES_READABLE, not parked, {"parked_files": len(parked)}, sample)
    row = conn.execute(
        "SELECT coalesce(sum(rows_repeated), 0)::bigint, coalesce(sum(rows_conflicting), 0)::bigint,"
        " coalesce(array_agg(key) FILTER (WHERE ends_without_line_end), '{}')"
        " FROM ops.landed_file WHERE source = %s AND dataset = %s AND status = 'loaded'",
        (feed.source, feed.dataset),
    ).fetchone()
    repeated, conflicting, cut = row or (0, 0, [])
    cut_sample = [{"key": name} for name in cut[:SAMPLE_ROWS]]
    yield check_result(key, LAST_RECORD, not cut, {"files": len(cut)}, cut_sample, AssetCheckSeverity.WARN)
    yield _written_as_declared(conn, feed, key)
    if feed.table.natural_key:
        numbers = {"repeated_records": repeated, "conflicting_records": conflicting}
        yield check_result(key, EVENTS_AGREE, conflicting == 0, numbers, [], AssetCheckSeverity.WARN)


def _rejected_by_rule(conn: Connection[Any], feed: Feed) -> dict[str, tuple[int, list[dict[str, Any]]]]:
    """How many records each rule rejected, and where some of them stand; their text is for engineers alone."""
    rows = conn.execute(
        """
        WITH loaded AS MATERIALIZED (
            SELECT file_id, key FROM ops.landed_file WHERE source = %(source)s AND dataset = %(dataset)s
            AND status = 'loaded'
        ), counted AS (
            SELECT rule, count(*) AS rows FROM ops.rejected_row JOIN loaded USING (file_id) GROUP BY rule
        )
        SELECT rule, rows, ARRAY(
            SELECT json_build_object('file', key, 'line', line)
            FROM ops.rejected_row r JOIN loaded USING (file_id) WHERE r.rule = counted.rule LIMIT %(sample)s
        ) FROM counted
        """,
        {"source": feed.source, "dataset": feed.dataset, "sample": SAMPLE_ROWS},
    ).fetchall()
    return {rule: (count, samples) for rule, count, samples in rows}


def _written_as_declared(conn: Connection[Any], feed: Feed, key: AssetKey) -> AssetCheckResult:
    """What was accepted though it is not written as declared, by column, and in which files."""
    counts = conn.execute(
        "SELECT w.key, sum(w.value::bigint)::bigint FROM ops.landed_file f, jsonb_each_text(f.warnings) w"
        " WHERE f.source = %s AND f.dataset = %s AND f.status = 'loaded' AND f.warnings <> '{}' GROUP BY 1 ORDER BY 1",
        (feed.source, feed.dataset),
    ).fetchall()
    files = conn.execute(
        "SELECT key, warnings FROM ops.landed_file WHERE source = %s AND dataset = %s AND status = 'loaded'"
        " AND warnings <> '{}' ORDER BY file_id DESC LIMIT %s",
        (feed.source, feed.dataset, SAMPLE_ROWS),
    ).fetchall()
    sample = [{"file": name, "accepted": warnings} for name, warnings in files]
    return check_result(key, WRITTEN_AS_DECLARED, not counts, dict(counts), sample, AssetCheckSeverity.WARN)


def _accounted(conn: Connection[Any], feed: Feed, key: AssetKey) -> AssetCheckResult:
    in_table = rows_by_file(conn, feed.table)
    files = conn.execute(
        """
        SELECT file_id, key, rows_read, rows_loaded,
            (SELECT count(*) FROM ops.rejected_row r WHERE r.file_id = f.file_id)
        FROM ops.landed_file f WHERE source = %s AND dataset = %s AND status = 'loaded' ORDER BY key
        """,
        (feed.source, feed.dataset),
    ).fetchall()
    differing = [
        {"key": name, "records": read, "rows_in_table": in_table.get(file_id, 0), "rejected_rows": rejected}
        for file_id, name, read, loaded, rejected in files
        if in_table.get(file_id, 0) != loaded or read != loaded + rejected
    ]
    unknown = set(in_table) - {file_id for file_id, *_ in files}
    numbers = {
        "files": len(files),
        "records_in_files": sum(read for _, _, read, _, _ in files),
        "rows_in_table": sum(in_table.values()),
        "rejected_rows": sum(rejected for *_, rejected in files),
        "rows_of_no_loaded_file": sum(in_table[file_id] for file_id in unknown),
    }
    return check_result(key, ROWS_ACCOUNTED, not differing and not unknown, numbers, differing[:SAMPLE_ROWS])


def table_check_specs(table: Table, key: AssetKey) -> list[AssetCheckSpec]:
    """The checks of a dim, bridge or fact."""
    specs = [
        AssetCheckSpec(named.name, asset=key, description=f"{named.description}; stops the publish.", blocking=True)
        for named in table_rules(table)
    ]
    grain = f"{table.grain}; stops the publish."
    built = "Rows and sums of measures in the warehouse are those that were built."
    bounds = f"A publication has at least {SHRINK_LIMIT:.0%} of the rows before it."
    specs.append(AssetCheckSpec(GRAIN_RULE, asset=key, description=grain, blocking=True))
    specs.append(AssetCheckSpec(PUBLISHED_AS_BUILT, asset=key, description=built))
    specs.append(AssetCheckSpec(ROW_COUNT_BOUNDS, asset=key, description=bounds))
    if table.references:
        valid = "Postgres has validated every foreign key, on every partition: no orphans."
        specs.append(AssetCheckSpec(REFERENCES_VALIDATED, asset=key, description=valid))
    if dimensions := _versioned(table):
        names = " and ".join(dimension.name for dimension in dimensions)
        whole = f"Whoever is in {names} has one version at any time, and one that is current."
        specs.append(AssetCheckSpec(ONE_VERSION, asset=key, description=whole))
    return specs


def _versioned(table: Table) -> list[Type2Dimension]:
    """The type-2 dims that a publication may have changed: the table itself, or those that it adds members to."""
    return [table] if isinstance(table, Type2Dimension) else versioned_dimensions(table)


def table_check_results(conn: Connection[Any], build: Build, key: AssetKey) -> Iterator[AssetCheckResult]:
    """What validation found and what is now in the warehouse, per partition where there are several."""
    names = list(dict.fromkeys(result.name for results in build.results.values() for result in results))
    for name in names:
        found = {p: next(r for r in results if r.name == name) for p, results in build.results.items()}
        failed = {p: result.failed_rows for p, result in found.items()}
        sample = [row for result in found.values() for row in result.sample][:SAMPLE_ROWS]
        yield check_result(
            key, name, not any(failed.values()), {"failed_rows": sum(failed.values())} | _per_partition(failed), sample
        )
    yield _published_as_built(conn, build, key)
    rows = {p.partition_key: p.rows for p in build.publications}
    shrunk = [p.partition_key for p in build.publications if p.rows < SHRINK_LIMIT * p.rows_before]
    numbers: dict[str, Any] = {"rows": sum(rows.values()), "shrunk_partitions": ", ".join(shrunk) or "none"}
    yield check_result(key, ROW_COUNT_BOUNDS, not shrunk, numbers | _per_partition(rows), [], AssetCheckSeverity.WARN)
    if build.table.references:
        yield _references(conn, build.table, key)
    if dimensions := _versioned(build.table):
        yield one_version_at_a_time(conn, dimensions, key)


def _published_as_built(conn: Connection[Any], build: Build, key: AssetKey) -> AssetCheckResult:
    # A partition for which nothing ever landed has no table.
    published = [p for p in build.publications if not isinstance(build.table, Fact) or p.relation is not None]
    found = measures_in_warehouse(conn, build.table, [p.partition_key for p in published])
    differing = []
    for publication in published:
        expected, there = build.measures[publication.partition_key], found.get(publication.relation, {})
        if any(
            there.get(name, 0) < value if _grows(build.table) else there.get(name, 0) != value
            for name, value in expected.items()
        ):
            differing.append({"partition": publication.partition_key, "built": str(expected), "found": str(there)})
    numbers = {"differing_partitions": len(differing)}
    return check_result(key, PUBLISHED_AS_BUILT, not differing, numbers, differing[:SAMPLE_ROWS])


def _grows(table: Table) -> bool:
    """Whether the table also holds rows that this build did not bring: members inferred or no longer delivered."""
    return isinstance(table, Dimension)


def exact_measures(table: Table) -> list[str]:
    """Columns of a fact whose sums are exact in every engine: decimals and counts that are no keys."""
    exact = (Kind.NUMERIC, Kind.SMALLINT, Kind.INTEGER, Kind.BIGINT)
    keys = {*table.primary_key, *(reference.column for reference in table.references)}
    if not isinstance(table, Fact):
        return []
    return [column.name for column in table.columns if column.name not in keys and column.type.kind in exact]


def measures_in_warehouse(
    conn: Connection[Any], table: Table, partition_keys: Sequence[str]
) -> dict[int | None, dict[str, Any]]:
    """Row count and sums of the exact measures in Postgres, by oid of the partition; ``None`` for a table without.

    All partitions in one query, which Postgres spreads over the cores.
    """
    names = exact_measures(table)
    sums = [SQL("coalesce(sum({}), 0)").format(Identifier(name)) for name in names]
    by = SQL("f.tableoid::bigint") if isinstance(table, Fact) else SQL("NULL::bigint")
    query = SQL("SELECT {}, {} FROM {} f WHERE {} GROUP BY 1").format(
        by,
        SQL(", ").join([SQL("count(*)"), *sums]),
        Identifier(table.schema, table.name),
        _within(table, partition_keys),
    )
    return {oid: dict(zip(["rows", *names], totals, strict=True)) for oid, *totals in conn.execute(query)}


def _within(table: Table, partition_keys: Sequence[str]) -> Composable:
    """A condition that lets Postgres leave out the partitions before the first and after the last of these."""
    bounds = [b for key in partition_keys if isinstance(table, Fact) and (b := table.bounds(key))]
    if not isinstance(table, Fact) or not bounds:
        return SQL("true")
    column = Identifier(table.partition_column)
    return SQL("f.{} >= {} AND f.{} < {}").format(column, min(b[0] for b in bounds), column, max(b[1] for b in bounds))


def _references(conn: Connection[Any], table: Table, key: AssetKey) -> AssetCheckResult:
    rows = conn.execute(
        """
        SELECT conrelid::regclass::text, conname, convalidated FROM pg_constraint
        WHERE contype = 'f' AND (conrelid = %(parent)s::regclass
            OR conrelid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = %(parent)s::regclass))
        """,
        {"parent": f'"{table.schema}"."{table.name}"'},
    ).fetchall()
    unvalidated = [{"table": where, "foreign_key": name} for where, name, validated in rows if not validated]
    passed = not unvalidated and len(rows) >= len(table.references)
    return check_result(key, REFERENCES_VALIDATED, passed, {"foreign_keys": len(rows)}, unvalidated)


def one_version_at_a_time(
    conn: Connection[Any], dimensions: Sequence[Type2Dimension], key: AssetKey
) -> AssetCheckResult:
    """Intervals of a member are contiguous from the beginning on, and exactly the last one is current."""
    query = """
        SELECT DISTINCT {id} FROM (
            SELECT {id}, valid_from, valid_to, is_current, lead(valid_from) OVER versions AS next_from,
                row_number() OVER versions AS place
            FROM {dim} WHERE valid_to IS DISTINCT FROM valid_from
            WINDOW versions AS (PARTITION BY {id} ORDER BY valid_from)
        ) v
        WHERE valid_to IS DISTINCT FROM next_from OR is_current <> (next_from IS NULL)
            OR (place = 1 AND valid_from <> {beginning})
        ORDER BY 1
    """
    broken = [
        {"dimension": dimension.qualified_name, dimension.natural_key[0]: member}
        for dimension in dimensions
        for (member,) in conn.execute(
            SQL(query).format(
                id=Identifier(dimension.natural_key[0]),
                dim=Identifier(dimension.schema, dimension.name),
                beginning=Literal(BEGINNING),
            )
        )
    ]
    return check_result(key, ONE_VERSION, not broken, {"members": len(broken)}, broken)


def report_check_spec(key: AssetKey) -> AssetCheckSpec:
    """The check of a relationship report."""
    text = "No raw row names a row of another table that is not there; NULLs name none."
    return AssetCheckSpec(RELATIONS_HOLD, asset=key, description=text)


def report_check_result(profile: SourceProfile, key: AssetKey) -> AssetCheckResult:
    """The orphans of each relation. A warning: facts keep such rows, with inferred members."""
    broken = [
        {"relation": found.relation, "orphans": found.orphans, "keys": "; ".join(found.orphan_keys)}
        for found in profile.relations
        if found.orphans
    ]
    numbers = {"orphans": profile.orphans, "relations": len(profile.relations)}
    return check_result(key, RELATIONS_HOLD, not broken, numbers, broken, AssetCheckSeverity.WARN)


def _per_partition(numbers: Mapping[str, int]) -> dict[str, Any]:
    if len(numbers) < 2:
        return {}
    schema = TableSchema([TableColumn("partition", "string"), TableColumn("rows", "int")])
    records = [TableRecord({"partition": key, "rows": value}) for key, value in numbers.items()]
    return {"by_partition": MetadataValue.table(records, schema=schema)}


def check_result(
    key: AssetKey,
    name: str,
    passed: bool,
    numbers: Mapping[str, Any],
    sample: Sequence[Mapping[str, Any]],
    severity: AssetCheckSeverity = AssetCheckSeverity.ERROR,
) -> AssetCheckResult:
    """What a check found: numbers, and the first failing rows as texts."""
    metadata = {k: bounded(v, MAX_METADATA) if isinstance(v, str) else v for k, v in numbers.items()}
    if sample:
        shown = [{k: bounded(str(v), MAX_SHOWN) for k, v in row.items()} for row in sample[:SAMPLE_ROWS]]
        metadata["sample"] = MetadataValue.json(shown)
    return AssetCheckResult(asset_key=key, check_name=name, passed=passed, metadata=metadata, severity=severity)
