-- One row per day from the first to the last invoice, 0 on a day without one.
with

invoices_by_date as (
    select
        date_key,
        count(invoice_id) as invoice_count,
        sum(total) as revenue
    from {{ source("chinook_dw", "fact_invoice") }}
    group by date_key
),

units_by_date as (
    select
        date_key,
        sum(quantity) as unit_count
    from {{ source("chinook_dw", "fact_invoice_line") }}
    group by date_key
)

select
    dates.date,
    dates.month_start,
    dates.year,
    coalesce(invoices.invoice_count, 0) as invoice_count,
    coalesce(units.unit_count, 0) as unit_count,
    coalesce(invoices.revenue, 0)::numeric(14, 2) as revenue
from {{ source("conformed", "dim_date") }} as dates
left join invoices_by_date as invoices using (date_key)
left join units_by_date as units using (date_key)
where
    dates.date_key between
    (select min(date_key) from invoices_by_date) and (select max(date_key) from invoices_by_date)
