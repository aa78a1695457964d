-- One row per person, role and month, from the person's first sale to the shop's last month, 0 in a month without a sale.
-- An invoice counts for the employee who looked after the customer at the time (role `seller`), and for everybody above
-- that employee at the time (role `manager`). People are counted by the source's own ids: keys change with every version.
with

invoices as (
    select
        employees.employee_id,
        employees.manager_path,
        customers.customer_id,
        dates.month_start,
        invoices.total
    from {{ source("chinook_dw", "fact_invoice") }} as invoices
    join {{ source("chinook_dw", "dim_employee") }} as employees using (employee_key)
    join {{ source("chinook_dw", "dim_customer") }} as customers using (customer_key)
    join {{ source("conformed", "dim_date") }} as dates using (date_key)
),

invoices_by_person as (
    select
        'seller' as role,
        employee_id as person_id,
        invoices.*
    from invoices
    union all
    select
        'manager' as role,
        managers.manager_id as person_id,
        invoices.*
    from invoices
    cross join lateral unnest(string_to_array(manager_path, '/')::integer[]) as managers (manager_id)
    where managers.manager_id <> employee_id
),

sold_by_month as (
    select
        role,
        person_id,
        month_start,
        count(distinct employee_id) as seller_count,
        count(total) as invoice_count,
        count(distinct customer_id) as customer_count,
        sum(total) as revenue
    from invoices_by_person
    group by role, person_id, month_start
),

first_months as (
    select
        role,
        person_id,
        min(month_start) as month_start
    from sold_by_month
    group by role, person_id
),

-- The data's own last month, not today's: a rebuild tomorrow gives the same rows. Also of invoices that are nobody's.
last_month as (
    select max(dates.month_start) as month_start
    from {{ source("chinook_dw", "fact_invoice") }} as invoices
    join {{ source("conformed", "dim_date") }} as dates using (date_key)
),

every_month as (
    select
        first_months.role,
        first_months.person_id,
        months.month_start::date as month_start
    from first_months
    cross join last_month
    cross join lateral generate_series(
        first_months.month_start, last_month.month_start, interval '1 month'
    ) as months (month_start)
)

select
    role,
    person_id,
    month_start,
    coalesce(sold_by_month.seller_count, 0) as seller_count,
    coalesce(sold_by_month.invoice_count, 0) as invoice_count,
    coalesce(sold_by_month.customer_count, 0) as customer_count,
    coalesce(sold_by_month.revenue, 0)::numeric(14, 2) as revenue
from every_month
left join sold_by_month using (role, person_id, month_start)
