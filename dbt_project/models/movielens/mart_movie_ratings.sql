-- One row a movie: its ratings, and a mean that is fair to movies with few of them.
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

sums_over_movies as (
    select
        count(movie_key)::numeric as movies,
        sum(rating_count) as ratings,
        sum(rating_sum) / sum(rating_count) as pooled_mean,
        sum(rating_square_sum - rating_sum * rating_sum / rating_count) as squares_within_movies,
        sum(rating_sum * rating_sum / rating_count) - sum(rating_sum) * sum(rating_sum) / sum(rating_count)
            as squares_between_movies,
        sum(rating_count) - sum(rating_count::numeric * rating_count) / sum(rating_count) as between_divisor
    from ratings_by_movie
),

-- Unknown (too few ratings to tell noise from difference) is null.
variance_within_movies as (
    select
        sums_over_movies.*,
        squares_within_movies / nullif(ratings - movies, 0) as variance_within
    from sums_over_movies
),

variances as (
    select
        pooled_mean,
        variance_within,
        coalesce(
            greatest(
                (squares_between_movies - (movies - 1) * variance_within) / nullif(between_divisor, 0),
                0
            ),
            0
        ) as variance_between
    from variance_within_movies
    where movies > 0
),

-- How far a movie's own mean is believed: 0 = not at all, near 1 = many ratings.
credibility_by_movie as (
    select
        ratings_by_movie.*,
        rating_sum / rating_count as rating_mean,
        case
            when variance_between > 0
                then rating_count * variance_between / (rating_count * variance_between + variance_within)
            else 0
        end as credibility
    from ratings_by_movie
    cross join variances
),

credibility_weighted_mean as (
    select sum(credibility * rating_mean) / nullif(sum(credibility), 0) as prior_mean
    from credibility_by_movie
),

prior as (
    select
        coalesce(prior_mean, pooled_mean) as prior_mean,
        variance_within / nullif(variance_between, 0) as prior_strength
    from variances
    cross join credibility_weighted_mean
),

movies_with_ratings as (
    select
        movies.movie_key,
        movies.movie_id,
        movies.title,
        movies.release_year,
        coalesce(rated.rating_count, 0) as rating_count,
        round(rated.rating_mean, 6) as rating_mean,
        round(
            coalesce(rated.credibility, 0) * coalesce(rated.rating_mean, 0)
            + (1 - coalesce(rated.credibility, 0)) * prior.prior_mean,
            6
        ) as bayesian_mean,
        round(coalesce(rated.credibility, 0), 6) as credibility,
        round(prior.prior_mean, 6) as prior_mean,
        round(prior.prior_strength, 6) as prior_strength,
        rated.last_rated_at
    from {{ source("movielens_dw", "dim_movie") }} as movies
    left join credibility_by_movie as rated using (movie_key)
    left join prior on true
)

select
    movie_key::integer as movie_key,
    movie_id::integer as movie_id,
    title::text as title,
    release_year::smallint as release_year,
    rating_count::bigint as rating_count,
    rating_mean::numeric(7, 6) as rating_mean,
    bayesian_mean::numeric(7, 6) as bayesian_mean,
    case
        when rating_count > 0
            then row_number() over (
                order by (rating_count > 0) desc, bayesian_mean desc, rating_count desc, movie_id
            )
    end::integer as bayesian_rank,
    credibility::numeric(7, 6) as credibility,
    prior_mean::numeric(7, 6) as prior_mean,
    prior_strength::numeric(18, 6) as prior_strength,
    last_rated_at::timestamptz as last_rated_at
from movies_with_ratings
