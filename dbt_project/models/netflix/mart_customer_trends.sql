-- One row per month and band of activity: how many customers rated little or much. Rebuilt by month.
{{ config(tags=["by_month"], incremental_strategy="replace_months") }}

with

customers_in_bands as (
    select
        customer_key,
        date_key,
        case
            when rating_count = 1 then 1
            when rating_count <= 5 then 2
            when rating_count <= 20 then 3
            when rating_count <= 100 then 4
            else 5
        end as band,
        rating_count,
        rating_sum
    from {{ source("netflix_dw", "fact_customer_months") }}
    where {{ in_requested_months("date_key") }}
),

bands as (
    select
        date_key,
        band,
        count(customer_key) as customer_count,
        sum(rating_count) as rating_count,
        sum(rating_sum) as rating_sum
    from customers_in_bands
    group by date_key, band
)

select
    dates.month_start::date as month_start,
    bands.band::smallint as activity_band_number,
    ('{1,2-5,6-20,21-100,101+}'::text[])[bands.band]::text as activity_band,
    bands.customer_count::bigint as customer_count,
    bands.rating_count::bigint as rating_count,
    bands.rating_sum::bigint as rating_sum,
    round(bands.rating_sum::numeric / bands.rating_count, 6)::numeric(7, 6) as rating_mean,
    round(bands.rating_count::numeric / bands.customer_count, 6)::numeric(14, 6) as ratings_per_customer
from bands
join {{ source("conformed", "dim_date") }} as dates using (date_key)
