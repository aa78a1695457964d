-- One row per manager and month: the sales of everybody below them at the time.
with

sales as (
    select * from {{ ref("int_sales_by_person_and_month") }} where role = 'manager'
),

-- Not the version with the latest valid_from: that may have been retired.
employees as (
    select employee_id, title from {{ source("chinook_dw", "dim_employee") }} where is_current
)

select
    sales.person_id::integer as manager_id,
    employees.title::text as title,
    sales.month_start::date as month_start,
    sales.seller_count::bigint as seller_count,
    sales.customer_count::bigint as customer_count,
    sales.invoice_count::bigint as invoice_count,
    sales.revenue::numeric(14, 2) as revenue,
    round(sales.revenue / nullif(sales.invoice_count, 0), 2)::numeric(14, 2) as average_invoice,
    {{ change_to_period_before("revenue", "in_time") }}
from sales
left join employees on sales.person_id = employees.employee_id
window in_time as (partition by sales.person_id order by sales.month_start)
