-- One row a rated film, best first by bayesian_rank.
{{ config(materialized="view") }}

select
    bayesian_rank::integer as bayesian_rank,
    title::text as title,
    release_year::smallint as release_year,
    rating_count::bigint as rating_count,
    rating_mean::numeric(7, 6) as rating_mean,
    bayesian_mean::numeric(7, 6) as bayesian_mean,
    popularity_rank::integer as popularity_rank,
    (stars_4_share + stars_5_share)::numeric(7, 6) as stars_4_and_5_share,
    first_month::date as first_month,
    last_month::date as last_month,
    movie_id::integer as movie_id,
    movie_key::integer as movie_key
from {{ ref("netflix_movie_performance") }}
where rating_count > 0
