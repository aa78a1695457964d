{#- What the marts of the DVD shop have in common. -#}

{#-
  CTEs, the last of which is `months`: one row a month and value of the keys (category_key, store_key) with a rental or a
  payment. A rental belongs to the month of rental and a payment to the month of payment, which may be years apart:
  they are counted each by itself and then laid side by side. A film with several categories counts in each of them,
  one without a category in none.
-#}
{% macro rentals_and_payments_by_month(keys) -%}
{%- set keys = keys | join(", ") -%}
rentals_by_month as (
    select
        {{ keys }},
        dates.month_start,
        count(rentals.rental_id) as rental_count,
        count(distinct customers.customer_id) as customer_count,
        count(distinct rentals.film_key) as rented_film_count,
        count(distinct rentals.inventory_key) as rented_copy_count,
        count(rentals.rental_id) filter (where rentals.is_open) as open_rental_count,
        count(rentals.rental_id) filter (where rentals.payment_count = 0) as unpaid_rental_count,
        count(rentals.rental_id) filter (where rentals.late_days > 0) as late_return_count
    from {{ source("dvddw", "fact_rental") }} as rentals
    join {{ source("dvddw", "dim_customer") }} as customers using (customer_key)
    join {{ source("dvddw", "bridge_film_category") }} as film_categories using (film_key)
    join {{ source("conformed", "dim_date") }} as dates using (date_key)
    group by {{ keys }}, dates.month_start
),

payments_by_month as (
    select
        {{ keys }},
        dates.month_start,
        count(payments.payment_id) as payment_count,
        sum(payments.amount) as revenue
    from {{ source("dvddw", "fact_payment") }} as payments
    join {{ source("dvddw", "bridge_film_category") }} as film_categories using (film_key)
    join {{ source("conformed", "dim_date") }} as dates using (date_key)
    group by {{ keys }}, dates.month_start
),

months as (
    select
        {{ keys }},
        month_start,
        coalesce(rentals.rental_count, 0) as rental_count,
        coalesce(rentals.customer_count, 0) as customer_count,
        coalesce(rentals.rented_film_count, 0) as rented_film_count,
        coalesce(rentals.rented_copy_count, 0) as rented_copy_count,
        coalesce(rentals.open_rental_count, 0) as open_rental_count,
        coalesce(rentals.unpaid_rental_count, 0) as unpaid_rental_count,
        coalesce(rentals.late_return_count, 0) as late_return_count,
        coalesce(payments.payment_count, 0) as payment_count,
        coalesce(payments.revenue, 0) as revenue
    from rentals_by_month as rentals
    full join payments_by_month as payments using ({{ keys }}, month_start)
)
{%- endmacro %}
