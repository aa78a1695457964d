-- One row per category and month with a rental or a payment.
with

rentals_by_month as (
    select
        category_key,
        month_start,
        count(rental_id) as rental_count,
        count(distinct customer_id) as customer_count,
        count(rental_id) filter (where is_open) as open_rental_count,
        count(rental_id) filter (where payment_count = 0) as unpaid_rental_count,
        count(rental_id) filter (where late_days > 0) as late_return_count
    from {{ ref("int_rentals_by_category") }}
    group by category_key, month_start
),

payments_by_month as (
    select
        category_key,
        month_start,
        count(payment_id) as payment_count,
        sum(amount) as revenue
    from {{ ref("int_payments_by_category") }}
    group by category_key, month_start
),

-- A rental belongs to the month of rental and a payment to the month of payment, which may be years apart: they are
-- counted each by itself and then laid side by side.
months as (
    select
        category_key,
        month_start,
        coalesce(rentals.rental_count, 0) as rental_count,
        coalesce(rentals.customer_count, 0) as customer_count,
        coalesce(rentals.open_rental_count, 0) as open_rental_count,
        coalesce(rentals.unpaid_rental_count, 0) as unpaid_rental_count,
        coalesce(rentals.late_return_count, 0) as late_return_count,
        coalesce(payments.payment_count, 0) as payment_count,
        coalesce(payments.revenue, 0) as revenue
    from rentals_by_month as rentals
    full join payments_by_month as payments using (category_key, month_start)
)

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
