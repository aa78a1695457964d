"""The assets of Chinook: which table is made from what. The parameters of a transform name its inputs."""

from cinestream_platform.orchestration.asset import landing_assets_of, raw_assets_of, table_asset
from cinestream_platform.orchestration.report import report_asset
from cinestream_platform.sources.chinook import tables, transforms
from cinestream_platform.sources.chinook.source import SOURCE

landing_assets = landing_assets_of(SOURCE)
raw_assets = raw_assets_of(SOURCE)
relationship_report = report_asset(SOURCE)

dim_artist = table_asset(tables.DIM_ARTIST, SOURCE)(transforms.dim_artist)
dim_album = table_asset(tables.DIM_ALBUM, SOURCE)(transforms.dim_album)
dim_genre = table_asset(tables.DIM_GENRE, SOURCE)(transforms.dim_genre)
dim_media_type = table_asset(tables.DIM_MEDIA_TYPE, SOURCE)(transforms.dim_media_type)
dim_track = table_asset(tables.DIM_TRACK, SOURCE)(transforms.dim_track)
dim_playlist = table_asset(tables.DIM_PLAYLIST, SOURCE)(transforms.dim_playlist)
dim_playlist_track = table_asset(tables.DIM_PLAYLIST_TRACK, SOURCE)(transforms.dim_playlist_track)
dim_location = table_asset(tables.DIM_LOCATION, SOURCE)(transforms.dim_location)
dim_employee = table_asset(tables.DIM_EMPLOYEE, SOURCE)(transforms.dim_employee)
dim_customer = table_asset(tables.DIM_CUSTOMER, SOURCE)(transforms.dim_customer)
fact_invoice = table_asset(tables.FACT_INVOICE, SOURCE)(transforms.fact_invoice)
fact_invoice_line = table_asset(tables.FACT_INVOICE_LINE, SOURCE)(transforms.fact_invoice_line)
