-- One row per city that invoices were billed to.
with

sales as (
    select
        locations.location_key,
        locations.country,
        locations.state,
        locations.city,
        count(invoices.invoice_id) as invoice_count,
        count(distinct customers.customer_id) as customer_count,
        coalesce(sum(invoices.total), 0) as revenue
    from {{ source("chinook_dw", "dim_location") }} as locations
    left join {{ source("chinook_dw", "fact_invoice") }} as invoices using (location_key)
    left join {{ source("chinook_dw", "dim_customer") }} as customers using (customer_key)
    group by locations.location_key, locations.country, locations.state, locations.city
)

select
    location_key::integer as location_key,
    country::text as country,
    state::text as state,
    city::text as city,
    invoice_count::bigint as invoice_count,
    customer_count::bigint as customer_count,
    revenue::numeric(14, 2) as revenue,
    round(revenue / nullif(invoice_count, 0), 2)::numeric(14, 2) as average_invoice,
    coalesce(round(revenue / nullif(sum(revenue) over (), 0), 6), 0)::numeric(7, 6) as revenue_share,
    case when invoice_count > 0 then rank() over (order by revenue desc) end::integer as revenue_rank,
    case
        when invoice_count > 0 then rank() over (partition by country order by revenue desc)
    end::integer as revenue_rank_in_country
from sales
