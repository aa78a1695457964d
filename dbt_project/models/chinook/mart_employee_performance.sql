-- One row an employee and month: the sales to the customers that they looked after at the time.
with

sold as (
    select
        employees.employee_id,
        customers.customer_id,
        dates.month_start,
        invoices.total
    from {{ source("chinook_dw", "fact_invoice") }} as invoices
    join {{ source("chinook_dw", "dim_employee") }} as employees using (employee_key)
    join {{ source("chinook_dw", "dim_customer") }} as customers using (customer_key)
    join {{ source("conformed", "dim_date") }} as dates using (date_key)
),

{{ sales_by_person_and_month("employee_id") }},

employees as (
    {{ current_versions("dim_employee", ["employee_id", "title", "manager_path"]) }}
)

select
    sales.employee_id::integer as employee_id,
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
join employees using (employee_id)
window in_time as (partition by sales.employee_id order by sales.month_start)
