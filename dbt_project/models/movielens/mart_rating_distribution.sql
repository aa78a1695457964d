-- One row per year and rating value that was given. Rebuilt by year.
{{ config(tags=["by_year"], incremental_strategy="replace_years") }}

with

ratings_by_date_and_value as (
    select
        date_key,
        rating,
        count(rating) as rating_count
    from {{ source("movielens_dw", "fact_ratings") }}
    where {{ in_requested_years("date_key") }}
    group by date_key, rating
),

ratings_by_year_and_value as (
    select
        dates.year,
        ratings.rating,
        sum(ratings.rating_count) as rating_count
    from ratings_by_date_and_value as ratings
    join {{ source("conformed", "dim_date") }} as dates using (date_key)
    group by dates.year, ratings.rating
)

select
    year::smallint as year,
    rating::numeric(2, 1) as rating,
    rating_count::bigint as rating_count,
    round(rating_count / sum(rating_count) over (partition by year), 6)::numeric(7, 6) as rating_share
from ratings_by_year_and_value
