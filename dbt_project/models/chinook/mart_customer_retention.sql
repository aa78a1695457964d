-- One row per cohort and quarter of its life: how many of those who first bought together buy again, and for how much.
with

purchases as (
    select
        customers.customer_id,
        date_trunc('quarter', dates.date)::date as quarter_start,
        sum(invoices.total) as revenue
    from {{ source("chinook_dw", "fact_invoice") }} as invoices
    join {{ source("chinook_dw", "dim_customer") }} as customers using (customer_key)
    join {{ source("conformed", "dim_date") }} as dates using (date_key)
    group by 1, 2
),

cohorts as (
    select
        customer_id,
        min(quarter_start) as cohort_quarter
    from purchases
    group by customer_id
),

cohort_sizes as (
    select
        cohort_quarter,
        count(customer_id) as cohort_size
    from cohorts
    group by cohort_quarter
),

-- The data's own last quarter, not today's: a rebuild tomorrow gives the same rows.
last_quarter as (
    select max(quarter_start) as quarter_start
    from purchases
),

-- Every quarter of a cohort's life, so that a quarter in which nobody came back is a 0 and not a gap.
cohort_lives as (
    select
        cohort_sizes.cohort_quarter,
        cohort_sizes.cohort_size,
        lives.quarters_since
    from cohort_sizes
    cross join last_quarter
    cross join lateral generate_series(
        0, {{ months_between("cohort_sizes.cohort_quarter", "last_quarter.quarter_start") }} / 3
    ) as lives (quarters_since)
),

buyers_by_life_quarter as (
    select
        cohorts.cohort_quarter,
        {{ months_between("cohorts.cohort_quarter", "purchases.quarter_start") }} / 3 as quarters_since,
        count(customer_id) as buyer_count,
        sum(purchases.revenue) as revenue
    from purchases
    join cohorts using (customer_id)
    group by 1, 2
)

select
    lives.cohort_quarter::date as cohort_quarter,
    lives.quarters_since::integer as quarters_since,
    lives.cohort_size::bigint as cohort_size,
    coalesce(buyers.buyer_count, 0)::bigint as buyer_count,
    round(coalesce(buyers.buyer_count, 0)::numeric / lives.cohort_size, 6)::numeric(7, 6) as retention_share,
    coalesce(buyers.revenue, 0)::numeric(14, 2) as revenue
from cohort_lives as lives
left join buyers_by_life_quarter as buyers using (cohort_quarter, quarters_since)
