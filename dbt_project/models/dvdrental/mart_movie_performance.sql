-- One row per film of the source, or one that was rented or paid for; also without a rental or without a copy.
with

rentals_by_copy as (
    select
        inventory_key,
        count(rental_id) as rental_count
    from {{ source("dvddw", "fact_rental") }}
    group by inventory_key
),

-- When a copy came to its store is not known: it counts as on the shelf for as long as the store has rented.
shelf_days_by_store as (
    select
        rentals.store_key,
        max(dates.date) - min(dates.date) + 1 as shelf_days
    from (
        select distinct store_key, date_key from {{ source("dvddw", "fact_rental") }}
    ) as rentals
    join {{ source("conformed", "dim_date") }} as dates using (date_key)
    group by rentals.store_key
),

stock_by_film as (
    select
        copies.film_key,
        count(copies.inventory_key) as copy_count,
        count(distinct copies.store_key) as store_count,
        count(copies.inventory_key) filter (where rentals.inventory_key is null) as unrented_copy_count,
        sum(shelf.shelf_days) as copy_days
    from {{ source("dvddw", "dim_inventory") }} as copies
    left join rentals_by_copy as rentals using (inventory_key)
    left join shelf_days_by_store as shelf on copies.store_key = shelf.store_key
    where copies.is_in_source
    group by copies.film_key
),

rentals_by_film as (
    select
        rentals.film_key,
        count(rentals.rental_id) as rental_count,
        count(distinct customers.customer_id) as customer_count,
        count(rentals.rental_id) filter (where rentals.is_open) as open_rental_count,
        count(rentals.rental_id) filter (where rentals.late_days > 0) as late_return_count,
        max(dates.date) as last_rental_date
    from {{ source("dvddw", "fact_rental") }} as rentals
    join {{ source("dvddw", "dim_customer") }} as customers using (customer_key)
    join {{ source("conformed", "dim_date") }} as dates using (date_key)
    group by rentals.film_key
),

payments_by_film as (
    select
        film_key,
        count(payment_id) as payment_count,
        sum(amount) as revenue
    from {{ source("dvddw", "fact_payment") }}
    group by film_key
),

films as (
    select
        films.*,
        coalesce(stock.copy_count, 0) as copy_count,
        coalesce(stock.store_count, 0) as store_count,
        coalesce(stock.unrented_copy_count, 0) as unrented_copy_count,
        coalesce(stock.copy_days, 0) as copy_days,
        coalesce(rentals.rental_count, 0) as rental_count,
        coalesce(rentals.customer_count, 0) as customer_count,
        coalesce(rentals.open_rental_count, 0) as open_rental_count,
        coalesce(rentals.late_return_count, 0) as late_return_count,
        rentals.last_rental_date,
        coalesce(payments.payment_count, 0) as payment_count,
        coalesce(payments.revenue, 0) as revenue
    from {{ source("dvddw", "dim_film") }} as films
    left join stock_by_film as stock using (film_key)
    left join rentals_by_film as rentals using (film_key)
    left join payments_by_film as payments using (film_key)
    where films.is_in_source or rentals.film_key is not null or payments.film_key is not null
)

select
    film_key::integer as film_key,
    film_id::integer as film_id,
    title::text as title,
    categories::text[] as categories,
    rating::text as rating,
    case when is_in_source then rental_rate end::numeric(4, 2) as rental_rate,
    case when is_in_source then replacement_cost end::numeric(5, 2) as replacement_cost,
    copy_count::bigint as copy_count,
    store_count::bigint as store_count,
    unrented_copy_count::bigint as unrented_copy_count,
    copy_days::bigint as copy_days,
    (copy_count > 0)::boolean as is_in_stock,
    (rental_count = 0)::boolean as is_never_rented,
    rental_count::bigint as rental_count,
    customer_count::bigint as customer_count,
    open_rental_count::bigint as open_rental_count,
    late_return_count::bigint as late_return_count,
    last_rental_date::date as last_rental_date,
    payment_count::bigint as payment_count,
    revenue::numeric(14, 2) as revenue,
    round(rental_count::numeric / nullif(copy_count, 0), 6)::numeric(14, 6) as turnover,
    round(revenue / nullif(copy_count, 0), 2)::numeric(14, 2) as revenue_per_copy,
    round(revenue / nullif(copy_days, 0), 6)::numeric(14, 6) as revenue_per_copy_day,
    case when rental_count > 0 then rank() over (order by rental_count desc) end::integer as rental_rank,
    case when payment_count > 0 then rank() over (order by revenue desc) end::integer as revenue_rank
from films
