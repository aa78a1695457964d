-- One row per film: its ratings, and a mean that is fair to films with few of them. From the months, not from the ratings.
{{ config(alias="mart_movie_performance") }}

with

ratings_by_movie as (
    select
        movie_key,
        sum(rating_count) as rating_count,
        sum(rating_sum) as rating_sum,
        sum(stars_1_count + 4 * stars_2_count + 9 * stars_3_count + 16 * stars_4_count + 25 * stars_5_count)
            as rating_square_sum,
        {{- sums_of_each_star() }},
        min(month_start) as first_month,
        max(month_start) as last_month
    from {{ ref("mart_movie_months") }}
    group by movie_key
),

means as (
    {{ bayesian_means(movies=source("netflix_dw", "dim_movie"), ratings="ratings_by_movie") }}
),

movies as (
    select
        movies.movie_key,
        movies.movie_id,
        movies.title,
        movies.release_year,
        coalesce(ratings.rating_count, 0) as rating_count,
        means.rating_mean,
        means.bayesian_mean,
        means.credibility,
        means.prior_mean,
        means.prior_strength,
        ratings.stars_1_count,
        ratings.stars_2_count,
        ratings.stars_3_count,
        ratings.stars_4_count,
        ratings.stars_5_count,
        ratings.first_month,
        ratings.last_month
    from {{ source("netflix_dw", "dim_movie") }} as movies
    join means using (movie_key)
    left join ratings_by_movie as ratings using (movie_key)
)

select
    movie_key::integer as movie_key,
    movie_id::integer as movie_id,
    title::text as title,
    release_year::smallint as release_year,
    rating_count::bigint as rating_count,
    rating_mean::numeric(7, 6) as rating_mean,
    round(stars_1_count / nullif(rating_count, 0), 6)::numeric(7, 6) as stars_1_share,
    round(stars_2_count / nullif(rating_count, 0), 6)::numeric(7, 6) as stars_2_share,
    round(stars_3_count / nullif(rating_count, 0), 6)::numeric(7, 6) as stars_3_share,
    round(stars_4_count / nullif(rating_count, 0), 6)::numeric(7, 6) as stars_4_share,
    round(stars_5_count / nullif(rating_count, 0), 6)::numeric(7, 6) as stars_5_share,
    bayesian_mean::numeric(7, 6) as bayesian_mean,
    {{ rank_of_rated_movie("bayesian_mean desc, rating_count desc") }} as bayesian_rank,
    {{ rank_of_rated_movie("rating_count desc, bayesian_mean desc") }} as popularity_rank,
    credibility::numeric(7, 6) as credibility,
    prior_mean::numeric(7, 6) as prior_mean,
    prior_strength::numeric(18, 6) as prior_strength,
    first_month::date as first_month,
    last_month::date as last_month
from movies
