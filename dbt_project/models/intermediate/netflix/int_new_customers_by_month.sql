-- One row per month in which customers of the source rated for the first time.
select
    date_trunc('month', first_rating_date::timestamp)::date as month_start,
    count(customer_key) as new_customers
from {{ source("netflix_dw", "dim_customer") }}
where is_in_source and first_rating_date is not null
group by date_trunc('month', first_rating_date::timestamp)::date
