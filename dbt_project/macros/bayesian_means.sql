{#-
  An empirical Bayes mean (Buehlmann-Straub credibility), fair to movies with few ratings. The formula with its sources:
  mart_movie_ratings.yml. A query with one row per movie of `movies`, also of those without a rating: movie_key,
  rating_mean, bayesian_mean, credibility, prior_mean, prior_strength.

  movies   a table with movie_key
  ratings  a table or CTE with one row per movie with at least one rating: movie_key, rating_count, and as numeric
           rating_sum and rating_square_sum (the squares added up)
-#}
{% macro bayesian_means(movies, ratings) -%}
with

sums_over_movies as (
    select
        count(movie_key)::numeric as movies,
        sum(rating_count) as ratings,
        sum(rating_sum) / sum(rating_count) as pooled_mean,
        sum(rating_square_sum - rating_sum * rating_sum / rating_count) as squares_within_movies,
        sum(rating_sum * rating_sum / rating_count) - sum(rating_sum) * sum(rating_sum) / sum(rating_count)
            as squares_between_movies,
        sum(rating_count) - sum(rating_count::numeric * rating_count) / sum(rating_count) as between_divisor
    from {{ ratings }}
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
        movie_key,
        rating_sum / rating_count as rating_mean,
        case
            when variance_between > 0
                then rating_count * variance_between / (rating_count * variance_between + variance_within)
            else 0
        end as credibility
    from {{ ratings }}
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
)

select
    movies.movie_key,
    round(rated.rating_mean, 6) as rating_mean,
    round(
        coalesce(rated.credibility, 0) * coalesce(rated.rating_mean, 0)
        + (1 - coalesce(rated.credibility, 0)) * prior.prior_mean,
        6
    ) as bayesian_mean,
    round(coalesce(rated.credibility, 0), 6) as credibility,
    round(prior.prior_mean, 6) as prior_mean,
    round(prior.prior_strength, 6) as prior_strength
from {{ movies }} as movies
left join credibility_by_movie as rated using (movie_key)
left join prior on true
{%- endmacro %}

{#-
  The place of a rated movie, 1 = first; null without a rating. Equal ones are ordered by movie_id, so no two share it.
  For a query over rows with rating_count and movie_id.
-#}
{% macro rank_of_rated_movie(order) -%}
    case
        when rating_count > 0
            then row_number() over (order by (rating_count > 0) desc, {{ order }}, movie_id)
    end::integer
{%- endmacro %}
