"""The checks of raw tables: what the ledger shows of the deliveries that a run loaded.

Rejected records are kept and counted, so they are warnings, and only where a delivery has unusually many
(``ledger.quality``). What does not belong here: rules (``declarations``), reading and rejecting (``reading``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from dagster import AssetCheckResult, AssetCheckSeverity, AssetCheckSpec, AssetKey, DataVersion, MaterializeResult
from psycopg import Connection

from cinestream_platform.declarations.feed import Feed
from cinestream_platform.ledger import landed_files, quality
from cinestream_platform.ledger.quality import FEWEST, FLOOR, TIMES, WINDOW, Delivered, judge
from cinestream_platform.orchestration.check_results import (
    SAMPLE_ROWS,
    check_result,
    column_checks,
    column_description,
    rules_table,
)
from cinestream_platform.reading.blocks import FILE_WARNINGS, LAST_RECORD_REJECTED
from cinestream_platform.reading.csv_records import FORMAT_RULES
from cinestream_platform.warehouse.raw_files import rows_by_file

RECORD_FORMAT, RECORDS_ACCOUNTED_FOR, NO_PARKED_FILES, LAST_RECORD, EVENTS_AGREE, WRITTEN_AS_DECLARED = (
    "record_format",
    "records_accounted_for",
    "no_parked_files",
    "last_record_complete",
    "events_agree",
    "written_as_declared",
)
UNUSUAL = (
    f" Warns if the share of a delivery is more than {TIMES} times the median of the last {WINDOW} and more than "
    f"{FLOOR:.1%}."
)


def raw_check_specs(feed: Feed, key: AssetKey) -> list[AssetCheckSpec]:
    """The checks of a raw asset."""
    checks = column_checks(feed.table, from_text=True)
    columns = {name: column_description(name, rules) for name, rules in checks.items()}
    descriptions = {RECORD_FORMAT: f"Of each record: {'; '.join(FORMAT_RULES.values())}."} | columns
    descriptions = {name: text + UNUSUAL for name, text in descriptions.items()} | {
        RECORDS_ACCOUNTED_FOR: "Of every loaded file: its records = its rows in the table + its rejected records.",
        NO_PARKED_FILES: "No file of this table was refused.",
        LAST_RECORD: "Every loaded file ends with a complete record. A file that was cut does not.",
        WRITTEN_AS_DECLARED: "Nothing was accepted that is written in another form than declared: 862.0 in a column of "
        f"whole numbers, the noise of binary floats in decimals, {', '.join(FILE_WARNINGS.values())}. Such values are "
        f"read exactly.{UNUSUAL}",
        EVENTS_AGREE: f"Records of the same event say the same; else the latest counts.{UNUSUAL}",
    }
    return [AssetCheckSpec(name, asset=key, description=text) for name, text in descriptions.items()]


def raw_check_results(conn: Connection[Any], feed: Feed, key: AssetKey, newest: int) -> Iterator[AssetCheckResult]:
    """What the ledger shows of the newest deliveries of a feed: of so many, of the last one where that is none."""
    found = quality.last_deliveries(conn, feed.source, feed.dataset, max(newest, 1))
    deliveries = _Deliveries(key, found, min(max(newest, 1), len(found)))
    yield deliveries.rejected(RECORD_FORMAT, FORMAT_RULES)
    for name, rules in column_checks(feed.table, from_text=True).items():
        yield deliveries.rejected(name, {rule.name: rule.description for rule in rules})
    yield _accounted(conn, feed, key, deliveries.newest)
    yield _parked(conn, feed, key)
    yield deliveries.cut()
    yield deliveries.written_as_declared()
    yield deliveries.events_agree()


def raw_result(conn: Connection[Any], feed: Feed, key: AssetKey, metadata: dict[str, Any]) -> MaterializeResult[None]:
    """The materialization of a raw table: all of its rows, and a version that a file without news does not change."""
    rows, content = landed_files.loaded_content(conn, feed.source, feed.dataset)
    found = metadata | {"dagster/row_count": rows}
    return MaterializeResult(asset_key=key, metadata=found, data_version=DataVersion(content))


@dataclass(frozen=True)
class _Deliveries:
    """The deliveries of a feed, oldest first, of which the last ``judged`` are spoken of."""

    key: AssetKey
    all: Sequence[Delivered]
    judged: int

    @cached_property
    def newest(self) -> Sequence[Delivered]:
        return self.all[len(self.all) - self.judged :]

    def rejected(self, name: str, rules: dict[str, str]) -> AssetCheckResult:
        """What these rules (name to words) rejected. Few deliveries tell nothing: one may itself be the exception."""
        counts = [(words, sum(d.rejected([rule]) for d in self.newest)) for rule, words in rules.items()]
        samples = [
            {"file": d.key, "line": s["line"], "rule": rules[str(s["rule"])], "value": s["value"]}
            for d in self.newest
            for s in d.rejected_samples
            if s["rule"] in rules
        ]
        numbers = {"rejected_records": sum(count for _, count in counts), "rules": rules_table(counts, "rejected")}
        return self._result(name, lambda d: d.rejected(rules), numbers, samples, fewest=FEWEST)

    def cut(self) -> AssetCheckResult:
        """Files without a last line end, and whether that end is within a record."""
        cut = [d for d in self.newest if LAST_RECORD_REJECTED in d.warnings]
        is_open = [d for d in self.newest if d.ends_without_line_end]
        numbers = {"files_cut": len(cut), "files_without_last_line_end": len(is_open)}
        samples = [{"file": d.key} for d in cut or is_open]
        return check_result(self.key, LAST_RECORD, not cut, numbers, samples, AssetCheckSeverity.WARN)

    def written_as_declared(self) -> AssetCheckResult:
        """What was accepted though it is not written as declared, by column, and in which files."""
        counts = sum((Counter(_accepted(d)) for d in self.newest), Counter[str]())
        samples = [{"file": d.key, "accepted": _accepted(d)} for d in reversed(self.newest) if _accepted(d)]
        return self._result(
            WRITTEN_AS_DECLARED, lambda d: sum(_accepted(d).values()), dict(sorted(counts.items())), samples
        )

    def events_agree(self) -> AssetCheckResult:
        """Records of one event that differ."""
        numbers = {
            "repeated_records": sum(d.repeated for d in self.newest),
            "conflicting_records": sum(d.conflicting for d in self.newest),
        }
        samples = [{"file": d.key, "conflicting_records": d.conflicting} for d in self.newest if d.conflicting]
        return self._result(EVENTS_AGREE, lambda d: d.conflicting, numbers, samples)

    def _result(
        self,
        name: str,
        count: Callable[[Delivered], int],
        numbers: dict[str, Any],
        samples: Sequence[dict[str, Any]],
        *,
        fewest: int = 0,
    ) -> AssetCheckResult:
        """A warning if of one of the judged deliveries an unusual share of the records was counted."""
        numbers = {"deliveries": len(self.newest), "records": sum(d.records for d in self.newest)} | numbers
        if not self.all or not any(count(d) for d in self.newest):
            return check_result(self.key, name, True, numbers, [], AssetCheckSeverity.WARN)
        verdict = judge([d.share(count(d)) for d in self.all], self.judged, fewest=fewest)
        few = f"not known: fewer than {fewest} earlier deliveries"
        numbers |= {
            "most_in_delivery": self.all[verdict.at].key,
            "share_there": f"{verdict.share:.4%}",
            "usual_share": few if verdict.usual is None else f"{verdict.usual:.4%}",
            "compared_with_deliveries": verdict.earlier,
        }
        return check_result(self.key, name, not verdict.is_unusual, numbers, samples, AssetCheckSeverity.WARN)


def _accepted(delivered: Delivered) -> dict[str, int]:
    return {name: count for name, count in delivered.warnings.items() if name != LAST_RECORD_REJECTED}


def _parked(conn: Connection[Any], feed: Feed, key: AssetKey) -> AssetCheckResult:
    parked = landed_files.parked(conn, feed.source, feed.dataset)
    samples = [{"file": name, "reason": reason} for name, reason in parked[:SAMPLE_ROWS]]
    return check_result(key, NO_PARKED_FILES, not parked, {"parked_files": len(parked)}, samples)


def _accounted(conn: Connection[Any], feed: Feed, key: AssetKey, newest: Sequence[Delivered]) -> AssetCheckResult:
    """Rows in the table and rejected records against the ledger.

    Rejected records are counted of the newest deliveries only, or each load would read those of all before it.
    """
    in_table = rows_by_file(conn, feed.table)
    kept = quality.rejected_rows_kept(conn, [d.file_id for d in newest])
    files = landed_files.loaded_counts(conn, feed.source, feed.dataset)
    found = [(*file, in_table.get(file[0], 0), kept.get(file[0], file[-1])) for file in files]
    differing = [
        {"file": name, "records": read, "rows_in_table": rows, "rejected_records": bad}
        for _, name, read, loaded, _, rows, bad in found
        if rows != loaded or read != loaded + bad
    ]
    unknown = set(in_table) - {file_id for file_id, *_ in files}
    numbers = {
        "files": len(files),
        "records_in_files": sum(read for _, _, read, _, _ in files),
        "rows_in_table": sum(in_table.values()),
        "rejected_records": sum(rejected for *_, rejected in files),
        "rows_of_no_loaded_file": sum(in_table[file_id] for file_id in unknown),
    }
    return check_result(key, RECORDS_ACCOUNTED_FOR, not differing and not unknown, numbers, differing)
