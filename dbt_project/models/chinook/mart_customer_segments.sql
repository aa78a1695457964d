-- One row per customer of the source, or one who bought: what, how often and how lately they bought, and the segment that follows from it.
with

purchases as (
    select
        customers.customer_id,
        min(dates.date) as first_invoice_date,
        max(dates.date) as last_invoice_date,
        count(invoices.invoice_id) as invoice_count,
        sum(invoices.total) as lifetime_value
    from {{ source("chinook_dw", "fact_invoice") }} as invoices
    join {{ source("chinook_dw", "dim_customer") }} as customers using (customer_key)
    join {{ source("conformed", "dim_date") }} as dates using (date_key)
    group by customers.customer_id
),

units_by_genre as (
    select
        customers.customer_id,
        genres.name as genre,
        sum(lines.quantity) as unit_count,
        sum(lines.amount) as revenue
    from {{ source("chinook_dw", "fact_invoice_line") }} as lines
    join {{ source("chinook_dw", "dim_customer") }} as customers using (customer_key)
    join {{ source("chinook_dw", "dim_track") }} as tracks using (track_key)
    join {{ source("chinook_dw", "dim_genre") }} as genres using (genre_key)
    group by customers.customer_id, genres.name
),

favourite_genres as (
    select distinct on (customer_id)
        customer_id,
        genre
    from units_by_genre
    order by customer_id, unit_count desc, revenue desc, genre collate "C"
),

scored as (
    select
        purchases.*,
        -- As of the data's own last day, not today: a rebuild tomorrow gives the same rows.
        max(last_invoice_date) over () - last_invoice_date as days_since_last_invoice,
        {{ quintile("last_invoice_date") }} as recency_score,
        {{ quintile("invoice_count") }} as frequency_score,
        {{ quintile("lifetime_value") }} as monetary_score
    from purchases
),

-- Not the version with the latest valid_from: that may have been retired.
customers as (
    select customer_id, country, is_in_source from {{ source("chinook_dw", "dim_customer") }} where is_current
)

select
    customers.customer_id::integer as customer_id,
    customers.country::text as country,
    scored.first_invoice_date::date as first_invoice_date,
    scored.last_invoice_date::date as last_invoice_date,
    scored.days_since_last_invoice::integer as days_since_last_invoice,
    coalesce(scored.invoice_count, 0)::bigint as invoice_count,
    coalesce(scored.lifetime_value, 0)::numeric(14, 2) as lifetime_value,
    round(scored.lifetime_value / scored.invoice_count, 2)::numeric(14, 2) as average_invoice,
    round(
        (scored.last_invoice_date - scored.first_invoice_date)::numeric / nullif(scored.invoice_count - 1, 0), 1
    )::numeric(9, 1) as mean_days_between_invoices,
    favourite_genres.genre::text as favourite_genre,
    scored.recency_score::smallint as recency_score,
    scored.frequency_score::smallint as frequency_score,
    scored.monetary_score::smallint as monetary_score,
    case
        when scored.customer_id is null then 'prospect'
        when scored.recency_score >= 3 and scored.invoice_count = 1 then 'new'
        when scored.recency_score >= 3 and scored.frequency_score + scored.monetary_score >= 7 then 'champion'
        when scored.recency_score >= 3 then 'occasional'
        when scored.frequency_score + scored.monetary_score >= 7 then 'at_risk'
        else 'lapsed'
    end::text as segment
from customers
left join scored using (customer_id)
left join favourite_genres using (customer_id)
where customers.is_in_source or scored.customer_id is not null
