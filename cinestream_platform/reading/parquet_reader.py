"""Reading Parquet: each value as the text that CSV would have of it, so that the same rules judge it.

Rows are read some at a time, row group after row group; how many depends on what they take (``parquet_pages``). A row's
number, from 1, stands for its line. What does not belong here: types and rules (``records``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from cinestream_platform.declarations.column import Column, Kind
from cinestream_platform.declarations.feed import Feed
from cinestream_platform.declarations.file_form import (
    EMPTY,
    PARQUET_MAGIC,
    FileRefusedError,
    Packing,
    refuse_foreign_form,
)
from cinestream_platform.reading.blocks import (
    BLOCK_BYTES,
    MAX_CELLS,
    MAX_LINE_BYTES,
    MAX_RAW_CHARS,
    REJECT_SCHEMA,
    Batch,
)
from cinestream_platform.reading.csv_reader import match_columns
from cinestream_platform.reading.csv_records import ENCODING, NUL
from cinestream_platform.reading.parquet_pages import bytes_per_row
from cinestream_platform.reading.records import split_records, with_nulls
from cinestream_platform.reading.unpacking import MAX_RATIO, most_unpacked, unpacked_copy
from cinestream_platform.services.disk import Room

MAX_FOOTER_BYTES = 16 * 1024 * 1024
MAX_FIXED_BYTES = 64
LEAST_BYTES = 12
"""Magic bytes at both ends, and the length of the footer."""
BUFFER_BYTES = 1024 * 1024
PLAIN_KINDS = (
    pa.types.is_string,
    pa.types.is_large_string,
    pa.types.is_string_view,
    pa.types.is_integer,
    pa.types.is_floating,
    pa.types.is_decimal,
    pa.types.is_boolean,
    pa.types.is_date,
    pa.types.is_timestamp,
    pa.types.is_null,
)
"""Types of which every value has a text."""


def read_parquet(
    path: Path,
    feed: Feed,
    *,
    file_id: int,
    not_after: datetime,
    packing: Packing = Packing.NONE,
    room: Room | None = None,
) -> Iterator[Batch]:
    """Read a local copy of a delivered file.

    Yields:
        Batches of typed and rejected records, in the order of the file.

    Raises:
        FileRefusedError: The file is not Parquet, damaged, or unpacks to too much; a column is missing, unknown,
            repeated or of a type that has no text; or as ``unpacked_copy``.
        DiskFullError: A packed file cannot be unpacked.
    """
    try:
        with unpacked_copy(path, packing, room) as plain:
            yield from _batches(plain, feed, file_id, not_after)
    except (OSError, pa.ArrowException) as error:
        if getattr(error, "errno", None):  # of this machine, and no fault of the file
            raise
        raise FileRefusedError("the Parquet file is damaged or encrypted. Land it again.") from error


def _batches(path: Path, feed: Feed, file_id: int, not_after: datetime) -> Iterator[Batch]:
    _require_parquet(path)
    line, size, most = 1, 0, most_unpacked(path.stat().st_size)
    with path.open("rb") as headers, _opened(path) as file:
        names = match_columns(file.schema_arrow.names, feed.table)
        _require_flat(file)
        for rows in _rows(file, headers):
            texts, flaws = _texts(rows, [feed.table.column(name) for name in names])
            records = texts.with_columns(line=pl.int_range(line, line + texts.height, dtype=pl.Int64), flaw=flaws)
            line += texts.height
            size += sum(int(texts[name].str.len_bytes().sum()) for name in names) + texts.height * len(names)
            if size > most:
                raise FileRefusedError(
                    f"this Parquet file of {path.stat().st_size:,} bytes holds more than {most:,} bytes of text: over "
                    f"{MAX_RATIO} times its size, or more than a file may have. If that is right, land it as CSV."
                )
            to_come = max(file.metadata.num_rows - line + 1, 0)
            yield _judged(records, names, feed, file_id, not_after, to_come)


def _judged(
    records: pl.DataFrame, names: list[str], feed: Feed, file_id: int, not_after: datetime, to_come: int
) -> Batch:
    broken = records.filter(pl.col("flaw").is_not_null())
    sound = records.filter(pl.col("flaw").is_null()).drop("flaw") if broken.height else records.drop("flaw")
    typed, rejected, warnings = split_records(with_nulls(sound, feed), feed.table, file_id=file_id, not_after=not_after)
    found = pl.lit(None, pl.String()).alias("found")
    bad = [
        rejected.select("line", "rule", _raw(sound[rejected["row"]], names), "found"),
        broken.select("line", pl.col("flaw").alias("rule"), _raw(broken, names), found),
    ]
    rejected = pl.concat([pl.DataFrame(schema=REJECT_SCHEMA), *bad]).sort("line")
    return Batch(typed, rejected, to_come, warnings=warnings)


def _raw(records: pl.DataFrame, names: list[str]) -> pl.Series:
    """A row's text for people: an object of its fields."""
    if records.is_empty():
        return pl.Series("raw", [], dtype=pl.String)
    text = pl.struct(names).struct.json_encode().str.slice(0, MAX_RAW_CHARS)
    return records.select(text.alias("raw")).to_series()


def _require_parquet(path: Path) -> None:
    size = path.stat().st_size
    if not size:
        raise FileRefusedError(EMPTY)
    with path.open("rb") as file:
        begin = file.read(len(PARQUET_MAGIC))
        if begin != PARQUET_MAGIC:
            refuse_foreign_form(begin, "Parquet file")
            raise FileRefusedError(
                "the name says Parquet, but the file is not Parquet. Land it under a name with the right ending."
            )
        file.seek(max(size - 8, 0))
        end = file.read(8)
    if size < LEAST_BYTES or end[-4:] != PARQUET_MAGIC:
        raise FileRefusedError("the Parquet file is cut off: its end is missing. Land it again.")
    if int.from_bytes(end[:4], "little") > MAX_FOOTER_BYTES:
        raise FileRefusedError(f"the footer of the Parquet file has more than {MAX_FOOTER_BYTES:,} bytes.")


def _opened(path: Path) -> pq.ParquetFile:
    """The file, whose texts are read as they are in it: each once, with numbers that point at them.

    Not so those in DELTA encodings, of which pyarrow cannot.
    """
    metadata = pq.read_metadata(path)
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    chunks = [group.column(index) for group in groups for index in range(group.num_columns)]
    delta = {chunk.path_in_schema for chunk in chunks if any(name.startswith("DELTA") for name in chunk.encodings)}
    schema = metadata.schema.to_arrow_schema()
    texts = [field.name for field in schema if _is_text(field.type) and field.name not in delta]
    # Spark's INT96 would be nanoseconds else, in which the year 2600 is 2015 without a word.
    return pq.ParquetFile(
        path, read_dictionary=texts, buffer_size=BUFFER_BYTES, pre_buffer=False, coerce_int96_timestamp_unit="us"
    )


def _is_text(kind: pa.DataType) -> bool:
    return any(
        is_kind(kind)
        for is_kind in (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary)
    )


def _require_flat(file: pq.ParquetFile) -> None:
    """Refuse columns with no one text a row, and fixed texts that are longer than any number."""
    for field in file.schema_arrow:
        if pa.types.is_nested(field.type):
            raise FileRefusedError(
                "a column of the Parquet file holds lists or structs. Land it with one text per row."
            )
    for index in range(len(file.schema)):
        if file.schema.column(index).length > MAX_FIXED_BYTES:
            raise FileRefusedError(f"a column of the Parquet file has values of over {MAX_FIXED_BYTES} fixed bytes.")


def _rows(file: pq.ParquetFile, headers: Any) -> Iterator[pa.RecordBatch]:
    """Rows, so many at a time that their texts take a bounded part of the memory."""
    most = max(MAX_CELLS // max(file.metadata.num_columns, 1), 1)
    for group in range(file.metadata.num_row_groups):
        if not file.metadata.row_group(group).num_rows:  # it has no pages either
            continue
        size = bytes_per_row(headers, file.metadata.row_group(group))
        some = max(min(most, int(BLOCK_BYTES / max(size, 1))), 1)
        for batch in file.iter_batches(some, row_groups=[group], use_threads=False):
            longest = max(sum(_longest(column) for column in batch.columns), 1)
            step = max(BLOCK_BYTES // longest, 1)
            for begin in range(0, batch.num_rows, step):
                yield batch.slice(begin, step)


def _longest(column: pa.Array) -> int:
    """Bytes of the longest text that numbers in a column can point at."""
    if not pa.types.is_dictionary(column.type) or not _is_text(column.type.value_type):
        return 0
    longest = pc.max(pc.binary_length(column.dictionary)).as_py() or 0
    if longest > MAX_LINE_BYTES:
        raise FileRefusedError(f"a text in the Parquet file is longer than {MAX_LINE_BYTES:,} bytes.")
    return int(longest)


def _texts(rows: pa.RecordBatch, columns: Sequence[Column]) -> tuple[pl.DataFrame, pl.Series]:
    """The rows as text columns, and the rule of the format that a row breaks."""
    texts, undecodable = [], set[int]()
    for array, column in zip(rows.columns, columns, strict=True):
        if pa.types.is_dictionary(array.type):
            array = array.dictionary_decode()
        if _is_text(array.type):
            array, bad = _decoded(array)
            undecodable.update(bad)
        series = pl.Series(column.name, _known_to_polars(array, column))
        texts.append(series if series.dtype == pl.String else _text(series, column))
    frame = pl.DataFrame(texts)
    has_nul = pl.any_horizontal(pl.all().str.contains("\0", literal=True).fill_null(False))
    flaws = frame.select(pl.when(has_nul).then(pl.lit(NUL)).alias("flaw")).to_series()
    return frame, flaws.scatter(sorted(undecodable), ENCODING) if undecodable else flaws


def _decoded(array: pa.Array) -> tuple[pa.Array, list[int]]:
    """Texts, which no reader of Parquet has checked: bytes that are not UTF-8 as escapes, and their rows."""
    as_bytes = array.cast(pa.large_binary())
    try:
        return as_bytes.cast(pa.large_string()), []
    except pa.ArrowInvalid:
        texts, bad = [], []
        for row, value in enumerate(as_bytes.to_pylist()):
            text = None if value is None else value.decode("utf-8", "backslashreplace")
            texts.append(text)
            if text is not None and text.encode() != value:
                bad.append(row)
        return pa.array(texts, pa.large_string()), bad


def _known_to_polars(array: pa.Array, column: Column) -> pa.Array:
    """The same values in a type that polars takes: it panics at some, and does not know every zone.

    Raises:
        FileRefusedError: Values of that type have no text.
    """
    kind = array.type
    if pa.types.is_decimal256(kind):
        return array.cast(pa.large_string())
    if pa.types.is_timestamp(kind) and kind.tz:
        return array.cast(pa.timestamp(kind.unit, "UTC"))
    if not any(is_kind(kind) for is_kind in PLAIN_KINDS):
        raise FileRefusedError(
            f"column `{column.source_name}` of the Parquet file holds {kind}: no text, number or time."
        )
    return array


def _text(values: pl.Series, column: Column) -> pl.Series:
    """Values of any other type as CSV has them."""
    kind = values.dtype
    return _moments(values, kind, column) if isinstance(kind, pl.Datetime) else values.cast(pl.String)


def _moments(values: pl.Series, kind: pl.Datetime, column: Column) -> pl.Series:
    """Times as ISO 8601, without an offset where they have none; as what the column wants where that is exact."""
    name = values.name
    if column.is_epoch_seconds and kind.time_zone:
        is_exact = pl.col(name).dt.truncate("1s") == pl.col(name)
        exact = pl.col(name).dt.epoch("s").cast(pl.String)
    else:
        is_exact = pl.lit(column.type.kind is Kind.DATE) & (pl.col(name).dt.truncate("1d") == pl.col(name))
        exact = pl.col(name).dt.to_string("%Y-%m-%d")
    if kind.time_zone:
        values = values.dt.convert_time_zone("UTC")
    iso = pl.col(name).dt.to_string("%Y-%m-%d %H:%M:%S%.f" + ("%:z" if kind.time_zone else ""))
    return values.to_frame().select(pl.when(is_exact).then(exact).otherwise(iso).alias(name)).to_series()
