{#-
  A query of what was sold by album_key, genre_key … of the tracks; a row with a null key holds the tracks that have none.
  Customers are counted by the source's own id: customer_key changes with every version.
-#}
{% macro sales_by_product(product_key) -%}
    select
        tracks.{{ product_key }},
        sum(lines.quantity) as unit_count,
        sum(lines.amount) as revenue,
        count(distinct lines.invoice_id) as invoice_count,
        count(distinct customers.customer_id) as customer_count,
        round(sum(lines.amount) / nullif(sum(sum(lines.amount)) over (), 0), 6) as revenue_share,
        rank() over (partition by tracks.{{ product_key }} is null order by sum(lines.amount) desc) as revenue_rank
    from {{ source("chinook_dw", "fact_invoice_line") }} as lines
    join {{ source("chinook_dw", "dim_track") }} as tracks using (track_key)
    join {{ source("chinook_dw", "dim_customer") }} as customers using (customer_key)
    group by tracks.{{ product_key }}
{%- endmacro %}

{#- The columns with which every mart of products ends: those of a `sales_by_product` that is left joined as `sales`. -#}
{% macro product_sales_columns(sales) -%}
    coalesce({{ sales }}.unit_count, 0)::bigint as unit_count,
    coalesce({{ sales }}.revenue, 0)::numeric(14, 2) as revenue,
    coalesce({{ sales }}.invoice_count, 0)::bigint as invoice_count,
    coalesce({{ sales }}.customer_count, 0)::bigint as customer_count,
    coalesce({{ sales }}.revenue_share, 0)::numeric(7, 6) as revenue_share,
    {{ sales }}.revenue_rank::integer as revenue_rank
{%- endmacro %}
