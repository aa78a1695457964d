-- One row per cohort and month of its life: how many of those who began together are still active.
with

active_months as (
    select user_key, month_start from {{ ref("int_user_active_months") }}
),

cohorts as (
    select
        user_key,
        min(month_start) as cohort_month
    from active_months
    group by user_key
),

cohort_sizes as (
    select
        cohort_month,
        count(user_key) as cohort_size
    from cohorts
    group by cohort_month
),

-- The data's own last month, not today's: a rebuild tomorrow gives the same rows.
last_month as (
    select max(month_start) as month_start
    from active_months
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

active_users_by_life_month as (
    select
        cohorts.cohort_month,
        {{ months_between("cohorts.cohort_month", "active_months.month_start") }} as months_since,
        count(user_key) as active_users
    from active_months
    join cohorts using (user_key)
    group by 1, 2
)

select
    lives.cohort_month::date as cohort_month,
    lives.months_since::integer as months_since,
    lives.cohort_size::bigint as cohort_size,
    coalesce(active.active_users, 0)::bigint as active_users,
    round(coalesce(active.active_users, 0)::numeric / lives.cohort_size, 6)::numeric(7, 6) as retention_share
from cohort_lives as lives
left join active_users_by_life_month as active using (cohort_month, months_since)
