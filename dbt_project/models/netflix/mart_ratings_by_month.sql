-- One row per month from the first to the last with a rating.
with

ratings_by_month as (
    select
        month_start,
        sum(rating_count) as rating_count,
        sum(rating_sum) as rating_sum
    from {{ ref("mart_daily_ratings") }}
    group by month_start
),

customers_by_month as (
    select
        month_start,
        sum(customer_count) as active_customers
    from {{ ref("mart_customer_trends") }}
    group by month_start
),

months as (
    select
        month_start,
        min(year) as year
    from {{ source("conformed", "dim_date") }}
    where
        month_start between
        (select min(month_start) from ratings_by_month) and (select max(month_start) from ratings_by_month)
    group by month_start
),

trend as (
    select
        months.month_start,
        months.year,
        coalesce(ratings.rating_count, 0) as rating_count,
        ratings.rating_sum,
        coalesce(customers.active_customers, 0) as active_customers,
        coalesce(new_customers.new_customers, 0) as new_customers
    from months
    left join ratings_by_month as ratings using (month_start)
    left join customers_by_month as customers using (month_start)
    left join {{ ref("int_new_customers_by_month") }} as new_customers using (month_start)
)

select
    month_start::date as month_start,
    year::smallint as year,
    rating_count::bigint as rating_count,
    round(rating_sum / nullif(rating_count, 0), 6)::numeric(7, 6) as rating_mean,
    active_customers::bigint as active_customers,
    new_customers::bigint as new_customers,
    {{ change_to_period_before("rating_count", "in_time", "bigint") }},
    (sum(rating_count) over in_time)::bigint as cumulative_rating_count
from trend
window in_time as (order by month_start)
