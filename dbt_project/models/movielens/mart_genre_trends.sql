-- One row per genre and month with at least one rating. Rebuilt by year.
{{ config(tags=["by_year"], incremental_strategy="replace_years") }}

with

-- Counted by date first: joining dates to these few rows is cheaper than to every rating.
ratings_by_date as (
    select
        date_key,
        count(rating) as rating_count
    from {{ source("movielens_dw", "fact_ratings") }}
    where {{ in_requested_years("date_key") }}
    group by date_key
),

ratings_by_month as (
    select
        dates.month_start,
        sum(ratings_by_date.rating_count) as rating_count
    from ratings_by_date
    join {{ source("conformed", "dim_date") }} as dates using (date_key)
    group by dates.month_start
),

ratings_by_movie_and_date as (
    select
        movie_key,
        date_key,
        count(rating) as rating_count,
        sum(rating) as rating_sum
    from {{ source("movielens_dw", "fact_ratings") }}
    where {{ in_requested_years("date_key") }}
    group by movie_key, date_key
),

-- A movie with several genres counts in each of them.
ratings_by_genre_and_month as (
    select
        movie_genres.genre_key,
        dates.month_start,
        dates.year,
        sum(ratings.rating_count) as rating_count,
        sum(ratings.rating_sum) as rating_sum
    from ratings_by_movie_and_date as ratings
    join {{ source("movielens_dw", "bridge_movie_genre") }} as movie_genres using (movie_key)
    join {{ source("conformed", "dim_date") }} as dates using (date_key)
    group by movie_genres.genre_key, dates.month_start, dates.year
)

select
    by_genre.genre_key::integer as genre_key,
    genres.genre::text as genre,
    by_genre.month_start::date as month_start,
    by_genre.year::smallint as year,
    by_genre.rating_count::bigint as rating_count,
    round(by_genre.rating_sum / by_genre.rating_count, 6)::numeric(7, 6) as rating_mean,
    round(by_genre.rating_count / by_month.rating_count, 6)::numeric(7, 6) as rating_share
from ratings_by_genre_and_month as by_genre
join ratings_by_month as by_month using (month_start)
join {{ source("movielens_dw", "dim_genre") }} as genres using (genre_key)
