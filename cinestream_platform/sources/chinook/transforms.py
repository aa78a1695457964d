"""From raw Chinook rows to dims and facts: pure polars, no Dagster and no database.

Facts come out with natural ids (``customer_id`` and the version's ``customer_valid_from`` …); publishing replaces them
by surrogate keys as the tables' references say.
"""

import polars as pl

from cinestream_platform.conformed.history import as_of, versions
from cinestream_platform.conformed.transforms import date_key, delivered

MOST_LEVELS = 20
"""Who is not at the top after so many steps reports to himself in a circle."""
PLACE = ("country", "state", "city")


def dim_artist(artist: pl.LazyFrame) -> pl.LazyFrame:
    """The artists of the newest delivery."""
    return artist.select("artist_id", "name", *delivered())


def dim_album(album: pl.LazyFrame) -> pl.LazyFrame:
    """The albums of the newest delivery, with ``artist_id``."""
    return album.select("album_id", "title", "artist_id", *delivered())


def dim_genre(genre: pl.LazyFrame) -> pl.LazyFrame:
    """The genres of the newest delivery."""
    return genre.select("genre_id", "name", *delivered())


def dim_media_type(media_type: pl.LazyFrame) -> pl.LazyFrame:
    """The file formats of the newest delivery."""
    return media_type.select("media_type_id", "name", *delivered())


def dim_playlist(playlist: pl.LazyFrame) -> pl.LazyFrame:
    """The playlists of the newest delivery."""
    return playlist.select("playlist_id", "name", *delivered())


def dim_track(track: pl.LazyFrame, album: pl.LazyFrame) -> pl.LazyFrame:
    """The tracks of the newest delivery, with the artists of their albums."""
    artists = album.select("album_id", "artist_id")
    return track.join(artists, on="album_id", how="left").select(
        "track_id",
        "name",
        "album_id",
        "artist_id",
        "genre_id",
        "media_type_id",
        "composer",
        length_milliseconds="milliseconds",
        size_bytes="bytes",
        unit_price="unit_price",
        is_inferred=pl.lit(False),
        is_in_source=pl.lit(True),
    )


def dim_playlist_track(playlist_track: pl.LazyFrame) -> pl.LazyFrame:
    """The pairs of the newest delivery, each once."""
    return playlist_track.select("playlist_id", "track_id").unique()


def _billed_to() -> list[pl.Expr]:
    """City, state and country of a bill, blanks at the ends cut; NULL where nothing is left."""
    return [pl.col(f"billing_{part}").str.strip_chars().replace("", None).alias(part) for part in PLACE]


def _location_code() -> pl.Expr:
    return pl.concat_str([pl.col(part).fill_null("") for part in PLACE], separator="|").alias("location_code")


def dim_location(invoice: pl.LazyFrame) -> pl.LazyFrame:
    """The city, state and country that invoices were billed to."""
    places = invoice.select(_billed_to()).with_columns(_location_code())
    # Names with a | in them can share a code: the same one of them each time.
    one_a_code = places.sort("location_code", *PLACE).unique("location_code", keep="first", maintain_order=True)
    return one_a_code.with_columns(delivered())


def _trimmed(people: pl.LazyFrame) -> pl.LazyFrame:
    return people.with_columns(pl.col("city", "state", "country").str.strip_chars())


def dim_customer(customer: pl.LazyFrame) -> pl.LazyFrame:
    """Versions of customers from all deliveries."""
    return versions(_trimmed(customer), "customer_id")


def with_manager_path(employee: pl.LazyFrame) -> pl.LazyFrame:
    """Employees with ``manager_path`` (ids from the top down to them, 1/2/3) and ``manager_level`` (0 = the top).

    Each delivery is a tree of its own. Who reports to somebody whom the delivery lacks is taken for the top; who
    reports to himself over any number of steps has no path.
    """
    tree = employee.select("_file_id", "employee_id", "reports_to").unique(["_file_id", "employee_id"]).collect()
    managers = tree.select("_file_id", above="employee_id", next="reports_to", is_known=pl.lit(True))
    walk = tree.select(
        "_file_id",
        "employee_id",
        above="reports_to",
        manager_path=pl.col("employee_id").cast(pl.String),
        manager_level=pl.lit(0, pl.Int16),
    )
    for _ in range(MOST_LEVELS):
        longer = pl.concat_str(pl.col("above").cast(pl.String), "manager_path", separator="/")
        walk = walk.join(managers, on=["_file_id", "above"], how="left").select(
            "_file_id",
            "employee_id",
            manager_path=pl.when("is_known").then(longer).otherwise("manager_path"),
            manager_level=pl.col("manager_level") + pl.col("is_known").fill_null(False).cast(pl.Int16),
            above="next",
        )
    is_tree = pl.col("above").is_null()
    paths = walk.select(
        "_file_id", "employee_id", *(pl.when(is_tree).then(c).alias(c) for c in ("manager_path", "manager_level"))
    )
    return employee.join(paths.lazy(), on=["_file_id", "employee_id"], how="left")


def dim_employee(employee: pl.LazyFrame) -> pl.LazyFrame:
    """Versions of employees from all deliveries; a new manager anywhere above is a new version."""
    return versions(
        with_manager_path(_trimmed(employee))
        .with_columns(pl.col("birth_date", "hire_date").dt.date())
        .rename({"reports_to": "reports_to_id"}),
        "employee_id",
    )


def _sales(invoice: pl.LazyFrame, customer: pl.LazyFrame, employee: pl.LazyFrame) -> pl.LazyFrame:
    """Invoices with the versions of customer and support representative that were valid then, day and place."""
    customers = dim_customer(customer).select("customer_id", "valid_from", employee_id="support_rep_id")
    employees = dim_employee(employee).select("employee_id", "valid_from")
    sold = invoice.select("invoice_id", "customer_id", "invoice_date", "total", *_billed_to())
    sold = as_of(sold, customers, "customer_id", at="invoice_date", version="customer_valid_from")
    sold = as_of(sold, employees, "employee_id", at="invoice_date", version="employee_valid_from")
    return sold.with_columns(date_key("invoice_date"), _location_code())


SALE = (
    "date_key",
    "customer_id",
    "customer_valid_from",
    "employee_id",
    "employee_valid_from",
    "location_code",
)
"""What keys are looked up by, for invoices and their lines."""


def fact_invoice(invoice: pl.LazyFrame, customer: pl.LazyFrame, employee: pl.LazyFrame) -> pl.LazyFrame:
    """The invoices of a year, each with customer and representative as they were then."""
    return _sales(invoice, customer, employee).select("invoice_id", *SALE, "total", invoiced_at="invoice_date")


def fact_invoice_line(
    invoice_line: pl.LazyFrame, invoice: pl.LazyFrame, customer: pl.LazyFrame, employee: pl.LazyFrame
) -> pl.LazyFrame:
    """The lines of a year's invoices; which year a line belongs to only its invoice says."""
    sold = _sales(invoice, customer, employee).select("invoice_id", *SALE)
    return invoice_line.join(sold, on="invoice_id", how="inner").select(
        "invoice_line_id",
        "invoice_id",
        *SALE,
        "track_id",
        "unit_price",
        "quantity",
        amount=(pl.col("unit_price") * pl.col("quantity")).cast(pl.Decimal(12, 2)),
    )
