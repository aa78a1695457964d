-- One row a manager and month: the sales of everybody below them at the time.
with

sold as (
    select
        managers.manager_id,
        employees.employee_id,
        customers.customer_id,
        dates.month_start,
        invoices.total
    from {{ source("chinook_dw", "fact_invoice") }} as invoices
    join {{ source("chinook_dw", "dim_employee") }} as employees using (employee_key)
    join {{ source("chinook_dw", "dim_customer") }} as customers using (customer_key)
    join {{ source("conformed", "dim_date") }} as dates using (date_key)
    cross join lateral unnest(string_to_array(employees.manager_path, '/')::integer[]) as managers (manager_id)
    where managers.manager_id <> employees.employee_id
),

{{ sales_by_person_and_month("manager_id") }},

employees as (
    {{ current_versions("dim_employee", ["employee_id", "title"]) }}
)

select
    sales.manager_id::integer as manager_id,
    employees.title::text as title,
    sales.month_start::date as month_start,
    sales.seller_count::bigint as seller_count,
    sales.customer_count::bigint as customer_count,
    sales.invoice_count::bigint as invoice_count,
    sales.revenue::numeric(14, 2) as revenue,
    round(sales.revenue / nullif(sales.invoice_count, 0), 2)::numeric(14, 2) as average_invoice,
    {{ change_to_period_before("revenue", "in_time") }}
from sales
left join employees on sales.manager_id = employees.employee_id
window in_time as (partition by sales.manager_id order by sales.month_start)
