-- One row per customer of the source, or one who rented or paid: what, how often, how lately and how punctually they rented, and what they paid.
with

-- The data's own last day, not today's: a rebuild tomorrow gives the same rows.
last_day as (
    select max(date) as date
    from {{ source("conformed", "dim_date") }}
    where
        date_key in (
            select max(date_key) from {{ source("dvddw", "fact_rental") }}
            union
            select max(date_key) from {{ source("dvddw", "fact_payment") }}
        )
),

rentals_by_customer as (
    select
        customers.customer_id,
        min(dates.date) as first_rental_date,
        max(dates.date) as last_rental_date,
        count(rentals.rental_id) as rental_count,
        count(rentals.rental_id) filter (where rentals.payment_count = 0) as unpaid_rental_count,
        count(rentals.rental_id) filter (where rentals.is_open) as open_rental_count,
        count(rentals.rental_id) filter (where rentals.late_days > 0) as late_return_count,
        round(avg(rentals.late_days) filter (where rentals.late_days > 0), 2) as mean_late_days
    from {{ source("dvddw", "fact_rental") }} as rentals
    join {{ source("dvddw", "dim_customer") }} as customers using (customer_key)
    join {{ source("conformed", "dim_date") }} as dates using (date_key)
    group by customers.customer_id
),

payments_by_customer as (
    select
        customers.customer_id,
        max(dates.date) as last_payment_date,
        count(payments.payment_id) as payment_count,
        sum(payments.amount) as lifetime_value
    from {{ source("dvddw", "fact_payment") }} as payments
    join {{ source("dvddw", "dim_customer") }} as customers using (customer_key)
    join {{ source("conformed", "dim_date") }} as dates using (date_key)
    group by customers.customer_id
),

favourite_categories as (
    select distinct on (customers.customer_id)
        customers.customer_id,
        categories.name as category
    from {{ source("dvddw", "fact_rental") }} as rentals
    join {{ source("dvddw", "dim_customer") }} as customers using (customer_key)
    join {{ source("dvddw", "bridge_film_category") }} as film_categories using (film_key)
    join {{ source("dvddw", "dim_category") }} as categories using (category_key)
    group by customers.customer_id, categories.name
    order by
        customers.customer_id,
        count(rentals.rental_id) desc,
        sum(rentals.amount_paid) desc,
        categories.name collate "C"
),

-- Scored are those who rented: the fifths are fifths of them.
scored as (
    select
        rentals.*,
        {{ quintile("rentals.last_rental_date") }} as recency_score,
        {{ quintile("rentals.rental_count") }} as frequency_score,
        {{ quintile("coalesce(payments.lifetime_value, 0)") }} as monetary_score
    from rentals_by_customer as rentals
    left join payments_by_customer as payments using (customer_id)
)

select
    customers.customer_id::integer as customer_id,
    customers.store_id::integer as store_id,
    customers.city::text as city,
    customers.country::text as country,
    -- Whether there still is such a customer: null, and not false, if not.
    case when customers.is_in_source then coalesce(customers.is_active, false) end::boolean as is_active,
    date_trunc('month', scored.first_rental_date)::date as cohort_month,
    scored.first_rental_date::date as first_rental_date,
    scored.last_rental_date::date as last_rental_date,
    (last_day.date - scored.first_rental_date)::integer as tenure_days,
    (last_day.date - scored.last_rental_date)::integer as recency_days,
    coalesce(scored.rental_count, 0)::bigint as rental_count,
    coalesce(scored.unpaid_rental_count, 0)::bigint as unpaid_rental_count,
    coalesce(scored.open_rental_count, 0)::bigint as open_rental_count,
    coalesce(scored.late_return_count, 0)::bigint as late_return_count,
    round(
        scored.late_return_count::numeric / nullif(scored.rental_count - scored.open_rental_count, 0), 6
    )::numeric(7, 6) as late_return_share,
    scored.mean_late_days::numeric(9, 2) as mean_late_days,
    payments.last_payment_date::date as last_payment_date,
    coalesce(payments.payment_count, 0)::bigint as payment_count,
    coalesce(payments.lifetime_value, 0)::numeric(14, 2) as lifetime_value,
    round(payments.lifetime_value / payments.payment_count, 2)::numeric(14, 2) as average_payment,
    favourites.category::text as favourite_category,
    scored.recency_score::smallint as recency_score,
    scored.frequency_score::smallint as frequency_score,
    scored.monetary_score::smallint as monetary_score
from {{ source("dvddw", "dim_customer") }} as customers
cross join last_day
left join scored using (customer_id)
left join payments_by_customer as payments using (customer_id)
left join favourite_categories as favourites using (customer_id)
where
    customers.is_current
    and (customers.is_in_source or scored.customer_id is not null or payments.customer_id is not null)
