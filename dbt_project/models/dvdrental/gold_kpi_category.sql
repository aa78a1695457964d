-- One row a category and month with a rental or a payment.
{{ config(tags=["export"]) }}

with

{{ rentals_and_payments_by_month(["category_key"]) }}

select
    category_key::integer as category_key,
    categories.name::text as category,
    months.month_start::date as month_start,
    extract(year from months.month_start)::smallint as year,
    months.rental_count::bigint as rental_count,
    months.customer_count::bigint as customer_count,
    months.open_rental_count::bigint as open_rental_count,
    months.unpaid_rental_count::bigint as unpaid_rental_count,
    months.late_return_count::bigint as late_return_count,
    round(
        months.late_return_count::numeric / nullif(months.rental_count - months.open_rental_count, 0), 6
    )::numeric(7, 6) as late_return_share,
    months.payment_count::bigint as payment_count,
    months.revenue::numeric(14, 2) as revenue,
    round(months.revenue / nullif(months.payment_count, 0), 2)::numeric(14, 2) as average_payment
from months
join {{ source("dvddw", "dim_category") }} as categories using (category_key)
