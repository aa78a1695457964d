-- One row per day from the first to the last invoice.
select
    date::date as date,
    year::smallint as year,
    invoice_count::bigint as invoice_count,
    unit_count::bigint as unit_count,
    revenue::numeric(14, 2) as revenue,
    {{ change_to_period_before("revenue", "in_time") }},
    (sum(revenue) over in_time)::numeric(14, 2) as revenue_to_date,
    (sum(revenue) over (partition by year order by date))::numeric(14, 2) as revenue_year_to_date
from {{ ref("int_sales_by_day") }}
window in_time as (order by date)
