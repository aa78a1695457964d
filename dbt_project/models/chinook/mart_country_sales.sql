-- One row per country that invoices were billed to.
with

sales as (
    select
        coalesce(locations.country, '') as country,
        count(invoices.invoice_id) as invoice_count,
        count(distinct customers.customer_id) as customer_count,
        coalesce(sum(invoices.total), 0) as revenue
    from {{ source("chinook_dw", "dim_location") }} as locations
    left join {{ source("chinook_dw", "fact_invoice") }} as invoices using (location_key)
    left join {{ source("chinook_dw", "dim_customer") }} as customers using (customer_key)
    group by coalesce(locations.country, '')
)

select
    country::text as country,
    invoice_count::bigint as invoice_count,
    customer_count::bigint as customer_count,
    revenue::numeric(14, 2) as revenue,
    round(revenue / nullif(invoice_count, 0), 2)::numeric(14, 2) as average_invoice,
    coalesce(round(revenue / nullif(sum(revenue) over (), 0), 6), 0)::numeric(7, 6) as revenue_share,
    case when invoice_count > 0 then rank() over (order by revenue desc) end::integer as revenue_rank
from sales
