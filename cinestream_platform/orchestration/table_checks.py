"""The checks of dims, bridges and facts: what validation found before a publish, and what Postgres then holds.

Rules stop a publish: the checks of the broken ones fail in Dagster, and nothing is published.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dagster import AssetCheckResult, AssetCheckSeverity, AssetCheckSpec, AssetKey
from psycopg import Connection
from psycopg.sql import SQL, Identifier, Literal

from cinestream_platform.declarations.star_table import Fact, Type2Dimension, versioned_dimensions
from cinestream_platform.declarations.table import Dimension, Table
from cinestream_platform.ledger.deliveries import BEGINNING
from cinestream_platform.orchestration.check_results import (
    check_result,
    column_checks,
    column_description,
    per_partition,
    rules_table,
)
from cinestream_platform.publishing.measures import measures_in_warehouse
from cinestream_platform.publishing.publish import PublishedTable
from cinestream_platform.publishing.validation import GRAIN_RULE, BrokenRulesError, RuleResult
from cinestream_platform.warehouse.profile import SourceProfile

SHRINK_LIMIT = 0.5
"""A publication with less than this share of the rows before is reported."""
ORPHANS_FLOOR = 0.001
"""So large a share of a table's rows may name a row that is not there; facts keep them, with inferred members."""
NO_DUPLICATES, PUBLISHED_AS_BUILT, ROW_COUNT, FOREIGN_KEYS_VALIDATED, ONE_VERSION, NO_ORPHANS = (
    "no_duplicates",
    "published_as_built",
    "row_count_at_least_half",
    "foreign_keys_validated",
    "one_version_at_a_time",
    "no_orphans",
)
STOPS = " A row that breaks this stops the publish."


def table_check_specs(table: Table, key: AssetKey) -> list[AssetCheckSpec]:
    """The checks of a dim, bridge or fact."""
    stopping = {name: column_description(name, rules) for name, rules in column_checks(table).items()}
    stopping[NO_DUPLICATES] = f"{table.grain[:1].upper()}{table.grain[1:]}."
    specs = [
        AssetCheckSpec(name, asset=key, description=text + STOPS, blocking=True) for name, text in stopping.items()
    ]
    built = "Rows and sums of measures in the warehouse are those that were built."
    bounds = f"A publication has at least {SHRINK_LIMIT:.0%} of the rows before it."
    specs.append(AssetCheckSpec(PUBLISHED_AS_BUILT, asset=key, description=built))
    specs.append(AssetCheckSpec(ROW_COUNT, asset=key, description=bounds))
    if table.references:
        valid = "Postgres has validated every foreign key, on every partition."
        specs.append(AssetCheckSpec(FOREIGN_KEYS_VALIDATED, asset=key, description=valid))
    if dimensions := _versioned(table):
        names = " and ".join(dimension.name for dimension in dimensions)
        whole = f"Each member of {names} has one version at any time, and one that is current."
        specs.append(AssetCheckSpec(ONE_VERSION, asset=key, description=whole))
    return specs


def _versioned(table: Table) -> list[Type2Dimension]:
    """The type-2 dims that a publication may have changed: the table itself, or those that it adds members to."""
    return [table] if isinstance(table, Type2Dimension) else versioned_dimensions(table)


def table_check_results(conn: Connection[Any], published: PublishedTable, key: AssetKey) -> Iterator[AssetCheckResult]:
    """What validation found and what is now in the warehouse, per partition where there are several."""
    table = published.table
    yield from _rule_results(table, {p.publication.partition_key: p.rules for p in published.partitions}, key)
    yield _published_as_built(conn, published, key)
    rows = {p.partition_key: p.rows for p in published.publications}
    shrunk = [p.partition_key for p in published.publications if p.rows < SHRINK_LIMIT * p.rows_before]
    numbers: dict[str, Any] = {"rows": sum(rows.values()), "shrunk_partitions": ", ".join(shrunk) or "none"}
    yield check_result(key, ROW_COUNT, not shrunk, numbers | per_partition(rows), [], AssetCheckSeverity.WARN)
    if table.references:
        yield _foreign_keys(conn, table, key)
    if dimensions := _versioned(table):
        yield one_version_at_a_time(conn, dimensions, key)


def broken_rule_results(error: BrokenRulesError, key: AssetKey) -> Iterator[AssetCheckResult]:
    """The checks of the rules that stopped a publish, to be reported before the error ends the step."""
    yield from _rule_results(error.table, {error.partition_key: error.results}, key)


def _rule_results(table: Table, found: Mapping[str, Sequence[RuleResult]], key: AssetKey) -> Iterator[AssetCheckResult]:
    """The rules of each column and of the grain, with what was found in each partition."""
    by_name = {p: {result.name: result for result in results} for p, results in found.items()}
    checks = {name: {rule.name: rule.description for rule in rules} for name, rules in column_checks(table).items()} | {
        NO_DUPLICATES: {GRAIN_RULE: table.grain}
    }
    for name, rules in checks.items():
        failed = {p: sum(results[rule].failed_rows for rule in rules) for p, results in by_name.items()}
        counts = [(words, sum(r[rule].failed_rows for r in by_name.values())) for rule, words in rules.items()]
        samples = [
            ({"partition": p} if table.is_partitioned else {}) | {"rule": words} | row
            for p, results in by_name.items()
            for rule, words in rules.items()
            for row in results[rule].sample
        ]
        numbers = {"failed_rows": sum(failed.values()), "rules": rules_table(counts, "failed_rows")}
        broken = {p: count for p, count in failed.items() if count}
        yield check_result(key, name, not broken, numbers | per_partition(broken), samples)


def _published_as_built(conn: Connection[Any], published: PublishedTable, key: AssetKey) -> AssetCheckResult:
    table = published.table
    # A partition for which nothing ever landed has no table.
    there = [p for p in published.partitions if not isinstance(table, Fact) or p.publication.relation is not None]
    found = measures_in_warehouse(conn, table, [p.publication.partition_key for p in there])
    differing = []
    for partition in there:
        expected, now = partition.measures, found.get(partition.publication.relation, {})
        if any(
            now.get(name, 0) < value if _grows(table) else now.get(name, 0) != value for name, value in expected.items()
        ):
            where = partition.publication.partition_key
            differing.append({"partition": where, "built": str(dict(expected)), "found": str(now)})
    return check_result(key, PUBLISHED_AS_BUILT, not differing, {"differing_partitions": len(differing)}, differing)


def _grows(table: Table) -> bool:
    """Whether the table also holds rows that this build did not bring: members inferred or no longer delivered."""
    return isinstance(table, Dimension)


def _foreign_keys(conn: Connection[Any], table: Table, key: AssetKey) -> AssetCheckResult:
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
    return check_result(key, FOREIGN_KEYS_VALIDATED, passed, {"foreign_keys": len(rows)}, unvalidated)


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
    text = (
        "Raw rows name rows of other tables that are there; NULLs name none. Warns if more than "
        f"{ORPHANS_FLOOR:.1%} of a table's rows do not."
    )
    return AssetCheckSpec(NO_ORPHANS, asset=key, description=text)


def report_check_result(profile: SourceProfile, key: AssetKey) -> AssetCheckResult:
    """The orphans of each relation. A warning: facts keep such rows, with inferred members."""
    found = [relation for relation in profile.relations if relation.orphans]
    samples = [{"relation": r.relation, "orphans": r.orphans, "keys": "; ".join(r.orphan_keys)} for r in found]
    passed = all(relation.orphans <= relation.rows * ORPHANS_FLOOR for relation in found)
    numbers = {"orphans": profile.orphans, "relations": len(profile.relations)}
    return check_result(key, NO_ORPHANS, passed, numbers, samples, AssetCheckSeverity.WARN)
