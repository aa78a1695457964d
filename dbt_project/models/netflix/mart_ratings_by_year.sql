-- One row per year from the first to the last with a rating.
with

ratings_by_year as (
    select
        date_key / 10000 as year,
        sum(rating_count) as rating_count,
        sum(rating_sum) as rating_sum,
        {{- sums_of_each_star() }}
    from {{ ref("mart_daily_ratings") }}
    group by date_key / 10000
),

rated_movies as (
    select distinct
        extract(year from month_start)::integer as year,
        movie_key
    from {{ ref("mart_movie_months") }}
),

movies_by_year as (
    select
        year,
        count(movie_key) as rated_movie_count
    from rated_movies
    group by year
),

active_customers as (
    select distinct
        date_key / 10000 as year,
        customer_key
    from {{ source("netflix_dw", "fact_customer_months") }}
),

customers_by_year as (
    select
        year,
        count(customer_key) as active_customers
    from active_customers
    group by year
),

new_customers_by_year as (
    select
        extract(year from month_start)::integer as year,
        sum(new_customers) as new_customers
    from {{ ref("int_new_customers_by_month") }}
    group by extract(year from month_start)::integer
),

years as (
    select distinct year
    from {{ source("conformed", "dim_date") }}
    where year between (select min(year) from ratings_by_year) and (select max(year) from ratings_by_year)
),

trend as (
    select
        years.year,
        coalesce(ratings.rating_count, 0) as rating_count,
        ratings.rating_sum,
        {%- for stars in range(1, 6) %}
        coalesce(ratings.stars_{{ stars }}_count, 0) as stars_{{ stars }}_count,
        {%- endfor %}
        coalesce(movies.rated_movie_count, 0) as rated_movie_count,
        coalesce(customers.active_customers, 0) as active_customers,
        coalesce(new_customers.new_customers, 0) as new_customers
    from years
    left join ratings_by_year as ratings using (year)
    left join movies_by_year as movies using (year)
    left join customers_by_year as customers using (year)
    left join new_customers_by_year as new_customers using (year)
)

select
    year::smallint as year,
    rating_count::bigint as rating_count,
    round(rating_sum / nullif(rating_count, 0), 6)::numeric(7, 6) as rating_mean,
    stars_1_count::bigint as stars_1_count,
    stars_2_count::bigint as stars_2_count,
    stars_3_count::bigint as stars_3_count,
    stars_4_count::bigint as stars_4_count,
    stars_5_count::bigint as stars_5_count,
    rated_movie_count::bigint as rated_movie_count,
    active_customers::bigint as active_customers,
    new_customers::bigint as new_customers,
    {{ change_to_period_before("rating_count", "in_time", "bigint") }},
    (sum(rating_count) over in_time)::bigint as cumulative_rating_count
from trend
window in_time as (order by year)
