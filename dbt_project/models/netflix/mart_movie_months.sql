-- One row per film and month in which it was rated. Rebuilt by month.
{{
    config(
        tags=["by_month"],
        incremental_strategy="replace_months",
        pre_hook="set local enable_indexscan = off; set local enable_bitmapscan = off",
    )
}}
{#- The hook: of a month whose days are not known when planning, Postgres expects 0.5 % and would go through an index. -#}

with

-- The requested months with their first and last day: the lateral query below then reads one partition at a time, and
-- what it groups by is never more than a month's.
months as (
    select
        month_start,
        min(date_key) as first_date_key,
        max(date_key) as last_date_key
    from {{ source("conformed", "dim_date") }}
    where {{ in_requested_months("date_key") }}
    group by month_start
)

select
    movies.movie_key::integer as movie_key,
    months.month_start::date as month_start,
    movies.rating_count::bigint as rating_count,
    movies.rating_sum::bigint as rating_sum,
    movies.stars_1_count::bigint as stars_1_count,
    movies.stars_2_count::bigint as stars_2_count,
    movies.stars_3_count::bigint as stars_3_count,
    movies.stars_4_count::bigint as stars_4_count,
    movies.stars_5_count::bigint as stars_5_count
from months
-- Over all months at once Postgres would expect millions of groups, and sort.
cross join lateral (
    select
        movie_key,
        count(rating) as rating_count,
        sum(rating) as rating_sum,
        {{- counts_of_each_star() }}
    from {{ source("netflix_dw", "fact_ratings") }}
    where
        date_key between months.first_date_key and months.last_date_key
        and {{ in_requested_months("date_key") }}
    group by movie_key
) as movies
