-- One row per employee and month: the sales to the customers that they looked after at the time.
with

sales as (
    select * from {{ ref("int_sales_by_person_and_month") }} where role = 'seller'
),

-- Not the version with the latest valid_from: that may have been retired.
employees as (
    select employee_id, title, manager_path from {{ source("chinook_dw", "dim_employee") }} where is_current
)

select
    sales.person_id::integer as employee_id,
    employees.title::text as title,
    employees.manager_path::text as manager_path,
    sales.month_start::date as month_start,
    sales.customer_count::bigint as customer_count,
    sales.invoice_count::bigint as invoice_count,
    sales.revenue::numeric(14, 2) as revenue,
    round(sales.revenue / nullif(sales.invoice_count, 0), 2)::numeric(14, 2) as average_invoice,
    rank() over (partition by sales.month_start order by sales.revenue desc)::integer as revenue_rank,
    {{ change_to_period_before("revenue", "in_time") }}
from sales
join employees on sales.person_id = employees.employee_id
window in_time as (partition by sales.person_id order by sales.month_start)
