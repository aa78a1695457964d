-- One row per rated film, best first by bayesian_rank.
{{ config(materialized="view") }}

select
    bayesian_rank::integer as bayesian_rank,
    title::text as title,
    release_year::smallint as release_year,
    rating_count::bigint as rating_count,
    rating_mean::numeric(7, 6) as rating_mean,
    bayesian_mean::numeric(7, 6) as bayesian_mean,
    popularity_rank::integer as popularity_rank,
    -- Of the counts, since a sum of rounded shares is not the share of the sum. Rounding share x ratings gives the count
    -- back exactly up to a million ratings of a film (the Netflix Prize has 232,944 at most).
    round(
        (round(stars_4_share * rating_count) + round(stars_5_share * rating_count)) / rating_count, 6
    )::numeric(7, 6) as stars_4_and_5_share,
    first_month::date as first_month,
    last_month::date as last_month,
    movie_id::integer as movie_id,
    movie_key::integer as movie_key
from {{ ref("mart_netflix_movie_performance") }}
where rating_count > 0
