"""The assets of Chinook: which table is made from what."""

from collections.abc import Iterator

import polars as pl

from cinestream_platform.loading.files import FileLoader, Report
from cinestream_platform.orchestration.asset import landing_asset, raw_asset, table_asset
from cinestream_platform.orchestration.report import report_asset
from cinestream_platform.sources.chinook import feeds, raw_tables, tables, transforms

landing_assets = [landing_asset(place) for place in (*feeds.FEEDS, feeds.RELEASE)]
relationship_report = report_asset(raw_tables.SOURCE)


@raw_asset(feeds.ARTIST)
def artist(loader: FileLoader) -> Iterator[Report]:
    """The newest delivery of artists replaces all rows."""
    return loader.load_pending()


@raw_asset(feeds.ALBUM)
def album(loader: FileLoader) -> Iterator[Report]:
    """The newest delivery of albums replaces all rows."""
    return loader.load_pending()


@raw_asset(feeds.GENRE)
def genre(loader: FileLoader) -> Iterator[Report]:
    """The newest delivery of genres replaces all rows."""
    return loader.load_pending()


@raw_asset(feeds.MEDIA_TYPE)
def media_type(loader: FileLoader) -> Iterator[Report]:
    """The newest delivery of file formats replaces all rows."""
    return loader.load_pending()


@raw_asset(feeds.TRACK)
def track(loader: FileLoader) -> Iterator[Report]:
    """The newest delivery of tracks replaces all rows."""
    return loader.load_pending()


@raw_asset(feeds.PLAYLIST)
def playlist(loader: FileLoader) -> Iterator[Report]:
    """The newest delivery of playlists replaces all rows."""
    return loader.load_pending()


@raw_asset(feeds.PLAYLIST_TRACK)
def playlist_track(loader: FileLoader) -> Iterator[Report]:
    """The newest delivery of playlists' tracks replaces all rows."""
    return loader.load_pending()


@raw_asset(feeds.EMPLOYEE)
def employee(loader: FileLoader) -> Iterator[Report]:
    """Every delivery of employees stays: dim_employee's versions are made from all of them."""
    return loader.load_pending()


@raw_asset(feeds.CUSTOMER)
def customer(loader: FileLoader) -> Iterator[Report]:
    """Every delivery of customers stays: dim_customer's versions are made from all of them."""
    return loader.load_pending()


@raw_asset(feeds.INVOICE)
def invoice(loader: FileLoader) -> Iterator[Report]:
    """Invoices come as a whole table and day by day; a file's rows replace those of its older version."""
    return loader.load_pending()


@raw_asset(feeds.INVOICE_LINE)
def invoice_line(loader: FileLoader) -> Iterator[Report]:
    """Lines come as a whole table and day by day; a file's rows replace those of its older version."""
    return loader.load_pending()


@table_asset(tables.DIM_ARTIST)
def dim_artist(artist: pl.LazyFrame) -> pl.LazyFrame:
    """The artists of the newest delivery."""
    return transforms.dim_artist(artist)


@table_asset(tables.DIM_ALBUM)
def dim_album(album: pl.LazyFrame) -> pl.LazyFrame:
    """The albums of the newest delivery."""
    return transforms.dim_album(album)


@table_asset(tables.DIM_GENRE)
def dim_genre(genre: pl.LazyFrame) -> pl.LazyFrame:
    """The genres of the newest delivery."""
    return transforms.dim_genre(genre)


@table_asset(tables.DIM_MEDIA_TYPE)
def dim_media_type(media_type: pl.LazyFrame) -> pl.LazyFrame:
    """The file formats of the newest delivery."""
    return transforms.dim_media_type(media_type)


@table_asset(tables.DIM_TRACK)
def dim_track(track: pl.LazyFrame, album: pl.LazyFrame) -> pl.LazyFrame:
    """The tracks of the newest delivery, with the artists of their albums."""
    return transforms.dim_track(track, album)


@table_asset(tables.DIM_PLAYLIST)
def dim_playlist(playlist: pl.LazyFrame) -> pl.LazyFrame:
    """The playlists of the newest delivery."""
    return transforms.dim_playlist(playlist)


@table_asset(tables.DIM_PLAYLIST_TRACK)
def dim_playlist_track(playlist_track: pl.LazyFrame) -> pl.LazyFrame:
    """The pairs of the newest delivery."""
    return transforms.dim_playlist_track(playlist_track)


@table_asset(tables.DIM_LOCATION)
def dim_location(invoice: pl.LazyFrame) -> pl.LazyFrame:
    """The places on invoices."""
    return transforms.dim_location(invoice)


@table_asset(tables.DIM_EMPLOYEE)
def dim_employee(employee: pl.LazyFrame) -> pl.LazyFrame:
    """Versions of employees from all deliveries."""
    return transforms.dim_employee(employee)


@table_asset(tables.DIM_CUSTOMER)
def dim_customer(customer: pl.LazyFrame) -> pl.LazyFrame:
    """Versions of customers from all deliveries."""
    return transforms.dim_customer(customer)


@table_asset(tables.FACT_INVOICE)
def fact_invoice(invoice: pl.LazyFrame, customer: pl.LazyFrame, employee: pl.LazyFrame) -> pl.LazyFrame:
    """The invoices of a year, each with customer and representative as they were then."""
    return transforms.fact_invoice(invoice, customer, employee)


@table_asset(tables.FACT_INVOICE_LINE)
def fact_invoice_line(
    invoice_line: pl.LazyFrame, invoice: pl.LazyFrame, customer: pl.LazyFrame, employee: pl.LazyFrame
) -> pl.LazyFrame:
    """The lines of a year's invoices; which year a line belongs to only its invoice says."""
    return transforms.fact_invoice_line(invoice_line, invoice, customer, employee)
