-- One row per year from the first to the last invoice.
with

sales as (
    select
        year,
        sum(invoice_count) as invoice_count,
        sum(unit_count) as unit_count,
        sum(revenue) as revenue
    from {{ ref("int_sales_by_day") }}
    group by year
)

select
    year::smallint as year,
    invoice_count::bigint as invoice_count,
    unit_count::bigint as unit_count,
    revenue::numeric(14, 2) as revenue,
    {{ change_to_period_before("revenue", "in_time") }},
    (sum(revenue) over in_time)::numeric(14, 2) as revenue_to_date
from sales
window in_time as (order by year)
