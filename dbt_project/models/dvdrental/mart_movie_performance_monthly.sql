-- One row per category, store and month with a rental or a payment.
with

rentals_by_month as (
    select
        category_key,
        store_key,
        month_start,
        count(rental_id) as rental_count,
        count(distinct film_key) as rented_film_count,
        count(distinct inventory_key) as rented_copy_count
    from {{ ref("int_rentals_by_category") }}
    group by category_key, store_key, month_start
),

payments_by_month as (
    select
        category_key,
        store_key,
        month_start,
        count(payment_id) as payment_count,
        sum(amount) as revenue
    from {{ ref("int_payments_by_category") }}
    group by category_key, store_key, month_start
),

-- A rental belongs to the month of rental and a payment to the month of payment, which may be years apart: they are
-- counted each by itself and then laid side by side.
months as (
    select
        category_key,
        store_key,
        month_start,
        coalesce(rentals.rental_count, 0) as rental_count,
        coalesce(rentals.rented_film_count, 0) as rented_film_count,
        coalesce(rentals.rented_copy_count, 0) as rented_copy_count,
        coalesce(payments.payment_count, 0) as payment_count,
        coalesce(payments.revenue, 0) as revenue
    from rentals_by_month as rentals
    full join payments_by_month as payments using (category_key, store_key, month_start)
),

stock as (
    select
        film_categories.category_key,
        copies.store_key,
        count(copies.inventory_key) as copy_count
    from {{ source("dvddw", "dim_inventory") }} as copies
    join {{ source("dvddw", "bridge_film_category") }} as film_categories using (film_key)
    where copies.is_in_source
    group by film_categories.category_key, copies.store_key
)

select
    category_key::integer as category_key,
    categories.name::text as category,
    store_key::integer as store_key,
    stores.store_id::integer as store_id,
    months.month_start::date as month_start,
    extract(year from months.month_start)::smallint as year,
    coalesce(stock.copy_count, 0)::bigint as copy_count,
    months.rental_count::bigint as rental_count,
    months.rented_film_count::bigint as rented_film_count,
    months.rented_copy_count::bigint as rented_copy_count,
    round(months.rental_count::numeric / nullif(stock.copy_count, 0), 6)::numeric(14, 6) as turnover,
    months.payment_count::bigint as payment_count,
    months.revenue::numeric(14, 2) as revenue,
    round(months.revenue / nullif(stock.copy_count, 0), 2)::numeric(14, 2) as revenue_per_copy
from months
join {{ source("dvddw", "dim_category") }} as categories using (category_key)
join {{ source("dvddw", "dim_store") }} as stores using (store_key)
left join stock using (category_key, store_key)
