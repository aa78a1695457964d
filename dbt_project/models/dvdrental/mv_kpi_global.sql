-- One row: the whole shop. From marts and not from the star, whose columns a view on them would bar from being widened.
{{
    config(
        materialized="materialized_view",
        indexes=[{"columns": ["as_of_date"], "unique": true}],
        tags=["export"],
    )
}}

with

-- The marts also have who and what has left the source, but was rented: without is_active, and without rental_rate.
customers as (
    select
        greatest(max(last_rental_date), max(last_payment_date)) as as_of_date,
        min(first_rental_date) as first_rental_date,
        max(last_rental_date) as last_rental_date,
        count(customer_id) filter (where is_active is not null) as customer_count,
        count(customer_id) filter (where is_active) as active_customer_count,
        coalesce(sum(rental_count), 0) as rental_count,
        coalesce(sum(unpaid_rental_count), 0) as unpaid_rental_count,
        coalesce(sum(open_rental_count), 0) as open_rental_count,
        coalesce(sum(late_return_count), 0) as late_return_count,
        coalesce(sum(payment_count), 0) as payment_count,
        coalesce(sum(lifetime_value), 0) as revenue
    from {{ ref("mart_customer_analytics") }}
),

films as (
    select
        count(film_key) filter (where rental_rate is not null) as film_count,
        count(film_key) filter (where rental_rate is not null and not is_in_stock) as film_without_stock_count,
        count(film_key) filter (where is_in_stock and is_never_rented) as film_in_stock_never_rented_count,
        coalesce(sum(copy_count), 0) as copy_count,
        coalesce(sum(unrented_copy_count), 0) as unrented_copy_count
    from {{ ref("mart_movie_performance") }}
),

top_films as (
    select title
    from {{ ref("mart_movie_performance") }}
    where rental_rank = 1
    order by revenue desc, film_id
    limit 1
),

top_categories as (
    select
        category,
        sum(revenue) as revenue
    from {{ ref("mart_kpi_category") }}
    group by category_key, category
    order by sum(revenue) desc, category collate "C"
    limit 1
)

select
    customers.as_of_date::date as as_of_date,
    customers.first_rental_date::date as first_rental_date,
    customers.last_rental_date::date as last_rental_date,
    customers.customer_count::bigint as customer_count,
    customers.active_customer_count::bigint as active_customer_count,
    films.film_count::bigint as film_count,
    films.film_without_stock_count::bigint as film_without_stock_count,
    films.film_in_stock_never_rented_count::bigint as film_in_stock_never_rented_count,
    films.copy_count::bigint as copy_count,
    films.unrented_copy_count::bigint as unrented_copy_count,
    customers.rental_count::bigint as rental_count,
    customers.unpaid_rental_count::bigint as unpaid_rental_count,
    customers.open_rental_count::bigint as open_rental_count,
    customers.late_return_count::bigint as late_return_count,
    round(
        customers.late_return_count::numeric / nullif(customers.rental_count - customers.open_rental_count, 0), 6
    )::numeric(7, 6) as late_return_share,
    customers.payment_count::bigint as payment_count,
    customers.revenue::numeric(14, 2) as revenue,
    round(customers.revenue / nullif(customers.payment_count, 0), 2)::numeric(14, 2) as average_payment,
    round(customers.revenue / nullif(customers.customer_count, 0), 2)::numeric(14, 2) as revenue_per_customer,
    round(customers.rental_count::numeric / nullif(films.copy_count, 0), 6)::numeric(14, 6) as turnover,
    top_films.title::text as most_rented_film,
    top_categories.category::text as top_category,
    top_categories.revenue::numeric(14, 2) as top_category_revenue
from customers
cross join films
left join top_films on true
left join top_categories on true
