-- One row per movie: its ratings, and a mean that is fair to movies with few of them.
with

ratings_by_movie as (
    select
        movie_key,
        count(rating) as rating_count,
        sum(rating) as rating_sum,
        sum(rating * rating) as rating_square_sum,
        max(rated_at) as last_rated_at
    from {{ source("movielens_dw", "fact_ratings") }}
    group by movie_key
),

means as (
    {{ bayesian_means(movies=source("movielens_dw", "dim_movie"), ratings="ratings_by_movie") }}
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
        ratings.last_rated_at
    from {{ source("movielens_dw", "dim_movie") }} as movies
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
    bayesian_mean::numeric(7, 6) as bayesian_mean,
    {{ rank_of_rated_movie("bayesian_mean desc, rating_count desc") }} as bayesian_rank,
    credibility::numeric(7, 6) as credibility,
    prior_mean::numeric(7, 6) as prior_mean,
    prior_strength::numeric(18, 6) as prior_strength,
    last_rated_at::timestamptz as last_rated_at
from movies
