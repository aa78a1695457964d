"""What the peers are given and no clock runs for: the ratings parsed, and with their keys looked up.

Runs in the peers' environment: netflix_prepare.py FILES FOLDER SLICE_ROWS. It writes into FOLDER

- ``ratings/*.parquet``: movie_id, customer_id, rating, date, 250,000 rows a file, in the files' order;
- ``months/YYYY-MM.bin``: rows of the fact table as COPY BINARY reads them, in the order of rating_key;
- ``dim_movie.csv`` and ``dim_customer.csv``: the rows of the dims, with the keys that the months use;
- ``about.json``: the number of rows, and the last film of the slice of at most SLICE_ROWS rows.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl

BLOCK = 64 * 2**20
PART_ROWS = 250_000
RAW = {"head": pl.String, "rating": pl.Int8, "date": pl.String}
COPY_BEGIN, COPY_END = b"PGCOPY\n\xff\r\n\0" + bytes(8), b"\xff\xff"
FACT = (("rating_key", ">i8"), ("customer_key", ">i4"), ("movie_key", ">i4"), ("date_key", ">i4"), ("rating", ">i2"))


def blocks(path: Path) -> Iterator[bytes]:
    """The file in pieces of whole lines."""
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            yield block + file.readline()


def parsed(path: Path) -> Iterator[pl.DataFrame]:
    """The ratings below ``film:`` lines, block by block."""
    movie: int | None = None
    for block in blocks(path):
        lines = pl.read_csv(block, has_header=False, schema=RAW, missing_columns="insert")
        film = pl.when(pl.col("rating").is_null()).then(pl.col("head").str.strip_suffix(":")).cast(pl.Int32)
        frame = lines.with_columns(movie_id=film.forward_fill().fill_null(pl.lit(movie, pl.Int32)))
        movie = frame["movie_id"][-1]
        yield frame.filter(pl.col("rating").is_not_null()).select(
            "movie_id", pl.col("head").cast(pl.Int32).alias("customer_id"), "rating", pl.col("date").str.to_date()
        )


def titles(path: Path) -> pl.DataFrame:
    """Films, with their place in the list as key; titles have commas and no quotes around them."""
    films = [line.split(",", 2) for line in path.read_text(encoding="iso-8859-1").splitlines() if line]
    rows = [(int(film), title, None if year == "NULL" else int(year)) for film, year, title in films]
    types = {"movie_id": pl.Int32, "title": pl.String, "release_year": pl.Int16}
    return pl.DataFrame(rows, types, orient="row").with_row_index("movie_key", offset=1)


def customers(ratings: pl.DataFrame) -> pl.DataFrame:
    """Customers with their totals, in the order of their ids."""
    day = pl.col("date")
    totals = ratings.group_by("customer_id").agg(
        first_rating_date=day.min(), last_rating_date=day.max(), total_ratings=pl.len().cast(pl.Int32)
    )
    return totals.sort("customer_id").with_row_index("customer_key", offset=1)


def keyed(rows: pl.DataFrame, films: pl.DataFrame, members: pl.DataFrame) -> pl.DataFrame:
    """Rows of the fact table, in the order of rating_key."""
    day = pl.col("date").dt
    return (
        rows.join(films.select("movie_key", "movie_id"), on="movie_id")
        .join(members.select("customer_key", "customer_id"), on="customer_id")
        .with_columns(
            rating_key=pl.col("movie_id").cast(pl.Int64) * 2**32 + pl.col("customer_id"),
            date_key=day.year() * 10_000 + day.month().cast(pl.Int32) * 100 + day.day(),
        )
        .sort("rating_key")
    )


def copy_binary(rows: pl.DataFrame) -> np.ndarray:
    """Records as COPY BINARY reads them: the number of fields, then each field's length and value, big-endian."""
    fields = [("fields", ">i2")]
    for name, kind in FACT:
        fields += [(f"{name} length", ">i4"), (name, kind)]
    table = np.empty(rows.height, dtype=fields)
    table["fields"] = len(FACT)
    for name, kind in FACT:
        table[f"{name} length"], table[name] = np.dtype(kind).itemsize, rows[name].to_numpy()
    return table


def write_months(ratings: pl.DataFrame, films: pl.DataFrame, members: pl.DataFrame, folder: Path) -> None:
    """A file a month."""
    folder.mkdir()
    months = ratings["date"].dt.year() * 100 + ratings["date"].dt.month().cast(pl.Int32)
    for month in months.unique().sort():
        table = copy_binary(keyed(ratings.filter(months == month), films, members))
        with (folder / f"{month // 100}-{month % 100:02}.bin").open("wb") as out:
            out.write(COPY_BEGIN)
            out.write(table.data)
            out.write(COPY_END)


def main() -> None:
    """Write everything."""
    files, folder, slice_rows = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    paths = sorted(files.glob("combined_data_*.txt"))
    ratings = pl.concat([frame for path in paths for frame in parsed(path)], rechunk=True)
    key = pl.col("movie_id").cast(pl.Int64) * 2**32 + pl.col("customer_id")
    if ratings.select(key.n_unique()).item() != ratings.height:
        raise SystemExit("the files have a customer's rating of a film twice; only ours would keep the latest of them")
    (folder / "ratings").mkdir(parents=True)
    for number, part in enumerate(ratings.iter_slices(PART_ROWS)):
        part.write_parquet(folder / "ratings" / f"part-{number:05}.parquet")
    films, members = titles(files / "movie_titles.csv"), customers(ratings)
    films.write_csv(folder / "dim_movie.csv")
    members.write_csv(folder / "dim_customer.csv")
    write_months(ratings, films, members, folder / "months")
    within = ratings.group_by("movie_id").len().sort("movie_id").with_columns(pl.col("len").cum_sum())
    films_within = within.filter(pl.col("len") <= slice_rows)["movie_id"]
    last = films_within[-1] if len(films_within) else within["movie_id"][0]
    (folder / "about.json").write_text(json.dumps({"rows": ratings.height, "slice_film": last}))


if __name__ == "__main__":
    main()
