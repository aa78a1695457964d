{#-
  Every rental and payment of a film (and store: `of`) that is known counts once in each of the film's categories.
  Fails with the figures.
-#}
{% test counts_in_each_category(model, of) %}
with
mart as (
    select
        coalesce(sum(rental_count), 0) as rentals,
        coalesce(sum(payment_count), 0) as payments,
        coalesce(sum(revenue), 0) as revenue
    from {{ model }}
),
rentals as (
    select count(*) as rentals
    from {{ source("dvddw", "fact_rental") }}
    join {{ source("dvddw", "bridge_film_category") }} using (film_key)
    where num_nulls({{ of | join(", ") }}) = 0
),
payments as (
    select count(*) as payments, coalesce(sum(amount), 0) as revenue
    from {{ source("dvddw", "fact_payment") }}
    join {{ source("dvddw", "bridge_film_category") }} using (film_key)
    where num_nulls({{ of | join(", ") }}) = 0
)
select mart.*, rentals.rentals as expected_rentals, payments.payments as expected_payments, payments.revenue as expected_revenue
from mart, rentals, payments
where (mart.rentals, mart.payments, mart.revenue) <> (rentals.rentals, payments.payments, payments.revenue)
{% endtest %}
