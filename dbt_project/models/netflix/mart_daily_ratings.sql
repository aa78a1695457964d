-- One row per day on which a film was rated. Rebuilt by month.
{{ config(tags=["by_month"], incremental_strategy="replace_months") }}

with

ratings_by_date as (
    select
        date_key,
        count(rating) as rating_count,
        sum(rating) as rating_sum,
        {{- counts_of_each_star() }}
    from {{ source("netflix_dw", "fact_ratings") }}
    where {{ in_requested_months("date_key") }}
    group by date_key
)

select
    ratings.date_key::integer as date_key,
    dates.date::date as date,
    dates.month_start::date as month_start,
    ratings.rating_count::bigint as rating_count,
    ratings.rating_sum::bigint as rating_sum,
    round(ratings.rating_sum::numeric / ratings.rating_count, 6)::numeric(7, 6) as rating_mean,
    ratings.stars_1_count::bigint as stars_1_count,
    ratings.stars_2_count::bigint as stars_2_count,
    ratings.stars_3_count::bigint as stars_3_count,
    ratings.stars_4_count::bigint as stars_4_count,
    ratings.stars_5_count::bigint as stars_5_count
from ratings_by_date as ratings
join {{ source("conformed", "dim_date") }} as dates using (date_key)
