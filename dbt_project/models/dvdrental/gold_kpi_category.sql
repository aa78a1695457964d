-- `mart_kpi_category` under the name that the business knows. One row per category and month with a rental or a payment.
{{ config(materialized="view", tags=["export"]) }}

select
    category_key,
    category,
    month_start,
    year,
    rental_count,
    customer_count,
    open_rental_count,
    unpaid_rental_count,
    late_return_count,
    late_return_share,
    payment_count,
    revenue,
    average_payment
from {{ ref("mart_kpi_category") }}
