"""The assets of Chinook: which table is made from what."""

import polars as pl

from cinestream_platform.orchestration.asset import landing_assets_of, raw_assets_of, table_asset
from cinestream_platform.orchestration.report import report_asset
from cinestream_platform.sources.chinook import tables, transforms
from cinestream_platform.sources.chinook.source import SOURCE

landing_assets = landing_assets_of(SOURCE)
raw_assets = raw_assets_of(SOURCE)
relationship_report = report_asset(SOURCE)


@table_asset(tables.DIM_ARTIST, SOURCE)
def dim_artist(artist: pl.LazyFrame) -> pl.LazyFrame:
    """The artists of the newest delivery."""
    return transforms.dim_artist(artist)


@table_asset(tables.DIM_ALBUM, SOURCE)
def dim_album(album: pl.LazyFrame) -> pl.LazyFrame:
    """The albums of the newest delivery."""
    return transforms.dim_album(album)


@table_asset(tables.DIM_GENRE, SOURCE)
def dim_genre(genre: pl.LazyFrame) -> pl.LazyFrame:
    """The genres of the newest delivery."""
    return transforms.dim_genre(genre)


@table_asset(tables.DIM_MEDIA_TYPE, SOURCE)
def dim_media_type(media_type: pl.LazyFrame) -> pl.LazyFrame:
    """The file formats of the newest delivery."""
    return transforms.dim_media_type(media_type)


@table_asset(tables.DIM_TRACK, SOURCE)
def dim_track(track: pl.LazyFrame, album: pl.LazyFrame) -> pl.LazyFrame:
    """The tracks of the newest delivery, with the artists of their albums."""
    return transforms.dim_track(track, album)


@table_asset(tables.DIM_PLAYLIST, SOURCE)
def dim_playlist(playlist: pl.LazyFrame) -> pl.LazyFrame:
    """The playlists of the newest delivery."""
    return transforms.dim_playlist(playlist)


@table_asset(tables.DIM_PLAYLIST_TRACK, SOURCE)
def dim_playlist_track(playlist_track: pl.LazyFrame) -> pl.LazyFrame:
    """The pairs of the newest delivery."""
    return transforms.dim_playlist_track(playlist_track)


@table_asset(tables.DIM_LOCATION, SOURCE)
def dim_location(invoice: pl.LazyFrame) -> pl.LazyFrame:
    """The places on invoices."""
    return transforms.dim_location(invoice)


@table_asset(tables.DIM_EMPLOYEE, SOURCE)
def dim_employee(employee: pl.LazyFrame) -> pl.LazyFrame:
    """Versions of employees from all deliveries."""
    return transforms.dim_employee(employee)


@table_asset(tables.DIM_CUSTOMER, SOURCE)
def dim_customer(customer: pl.LazyFrame) -> pl.LazyFrame:
    """Versions of customers from all deliveries."""
    return transforms.dim_customer(customer)


@table_asset(tables.FACT_INVOICE, SOURCE)
def fact_invoice(invoice: pl.LazyFrame, customer: pl.LazyFrame, employee: pl.LazyFrame) -> pl.LazyFrame:
    """The invoices of a year, each with customer and representative as they were then."""
    return transforms.fact_invoice(invoice, customer, employee)


@table_asset(tables.FACT_INVOICE_LINE, SOURCE)
def fact_invoice_line(
    invoice_line: pl.LazyFrame, invoice: pl.LazyFrame, customer: pl.LazyFrame, employee: pl.LazyFrame
) -> pl.LazyFrame:
    """The lines of a year's invoices; which year a line belongs to only its invoice says."""
    return transforms.fact_invoice_line(invoice_line, invoice, customer, employee)
