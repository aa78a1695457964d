-- One row per cohort and month of its life: how many of those who first rented together rent again.
with

rentals_by_month as (
    select
        customers.customer_id,
        dates.month_start,
        count(rentals.rental_id) as rental_count
    from {{ source("dvddw", "fact_rental") }} as rentals
    join {{ source("dvddw", "dim_customer") }} as customers using (customer_key)
    join {{ source("conformed", "dim_date") }} as dates using (date_key)
    group by customers.customer_id, dates.month_start
),

cohorts as (
    select
        customer_id,
        min(month_start) as cohort_month
    from rentals_by_month
    group by customer_id
),

cohort_sizes as (
    select
        cohort_month,
        count(customer_id) as cohort_size
    from cohorts
    group by cohort_month
),

-- The data's own last month, not today's: a rebuild tomorrow gives the same rows.
last_month as (
    select max(month_start) as month_start
    from rentals_by_month
),

-- Every month of a cohort's life, so that a month in which nobody came back is a 0 and not a gap.
cohort_lives as (
    select
        cohort_sizes.cohort_month,
        cohort_sizes.cohort_size,
        lives.months_since
    from cohort_sizes
    cross join last_month
    cross join lateral generate_series(
        0, {{ months_between("cohort_sizes.cohort_month", "last_month.month_start") }}
    ) as lives (months_since)
),

rentals_by_life_month as (
    select
        cohorts.cohort_month,
        {{ months_between("cohorts.cohort_month", "rentals_by_month.month_start") }} as months_since,
        count(customer_id) as active_customer_count,
        sum(rentals_by_month.rental_count) as rental_count
    from rentals_by_month
    join cohorts using (customer_id)
    group by 1, 2
)

select
    lives.cohort_month::date as cohort_month,
    lives.months_since::integer as months_since,
    lives.cohort_size::bigint as cohort_size,
    coalesce(rentals.active_customer_count, 0)::bigint as active_customer_count,
    round(coalesce(rentals.active_customer_count, 0)::numeric / lives.cohort_size, 6)::numeric(7, 6) as retention_share,
    coalesce(rentals.rental_count, 0)::bigint as rental_count
from cohort_lives as lives
left join rentals_by_life_month as rentals using (cohort_month, months_since)
