"""The assets of MovieLens: which table is made from what. The parameters of a transform name its inputs."""

from cinestream_platform.orchestration.asset import landing_assets_of, raw_assets_of, table_asset
from cinestream_platform.orchestration.report import report_asset
from cinestream_platform.sources.movielens import tables, transforms
from cinestream_platform.sources.movielens.source import SOURCE

landing_assets = landing_assets_of(SOURCE)
raw_assets = raw_assets_of(SOURCE)
relationship_report = report_asset(SOURCE)

dim_movie = table_asset(tables.DIM_MOVIE, SOURCE)(transforms.dim_movie)
dim_genre = table_asset(tables.DIM_GENRE, SOURCE)(transforms.dim_genre)
bridge_movie_genre = table_asset(tables.BRIDGE_MOVIE_GENRE, SOURCE)(transforms.movie_genres)
dim_user = table_asset(tables.DIM_USER, SOURCE)(transforms.dim_user)
dim_tag = table_asset(tables.DIM_TAG, SOURCE)(transforms.dim_tag)
fact_ratings = table_asset(tables.FACT_RATINGS, SOURCE)(transforms.fact_ratings)
fact_tags = table_asset(tables.FACT_TAGS, SOURCE)(transforms.fact_tags)
fact_genome_scores = table_asset(tables.FACT_GENOME_SCORES, SOURCE)(transforms.fact_genome_scores)
