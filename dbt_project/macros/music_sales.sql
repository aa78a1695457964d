{#-
  What the marts of the music shop have in common. Customers and employees are counted by the source's own id:
  customer_key and employee_key change with every version.
-#}

{#- CTEs, the last of which is `sales`: one row a day, month or year from the first to the last invoice, 0 without one. -#}
{% macro sales_by_period(period) -%}
invoices_by_date as (
    select
        date_key,
        count(invoice_id) as invoice_count,
        sum(total) as revenue
    from {{ source("chinook_dw", "fact_invoice") }}
    group by date_key
),

units_by_date as (
    select
        date_key,
        sum(quantity) as unit_count
    from {{ source("chinook_dw", "fact_invoice_line") }}
    group by date_key
),

sales as (
    select
        dates.{{ period }} as period,
        min(dates.year) as year,
        coalesce(sum(invoices.invoice_count), 0) as invoice_count,
        coalesce(sum(units.unit_count), 0) as unit_count,
        coalesce(sum(invoices.revenue), 0) as revenue
    from {{ source("conformed", "dim_date") }} as dates
    left join invoices_by_date as invoices using (date_key)
    left join units_by_date as units using (date_key)
    where
        dates.date_key between
        (select min(date_key) from invoices_by_date) and (select max(date_key) from invoices_by_date)
    group by dates.{{ period }}
)
{%- endmacro %}

{#- What was sold by album_key, genre_key … of the tracks; a row with a null key holds the tracks that have none. -#}
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

{#- The columns of `sales_by_product`, left joined as `sales`, as every mart of products ends. -#}
{% macro product_sales_columns() -%}
    coalesce(sales.unit_count, 0)::bigint as unit_count,
    coalesce(sales.revenue, 0)::numeric(14, 2) as revenue,
    coalesce(sales.invoice_count, 0)::bigint as invoice_count,
    coalesce(sales.customer_count, 0)::bigint as customer_count,
    coalesce(sales.revenue_share, 0)::numeric(7, 6) as revenue_share,
    sales.revenue_rank::integer as revenue_rank
{%- endmacro %}

{#- The version of everybody in a type-2 dim that holds now. Not the latest valid_from: that may have been retired. -#}
{% macro current_versions(dim, columns) -%}
    select {{ columns | join(", ") }}
    from {{ source("chinook_dw", dim) }}
    where is_current
{%- endmacro %}

{#-
  CTEs after `sold` (one row an invoice and person it counts for: the id, employee_id, customer_id, month_start, total),
  the last of which is `sales`: one row a person and month, from the person's first sale to the shop's last, 0 without.
-#}
{% macro sales_by_person_and_month(id) -%}
sold_by_month as (
    select
        {{ id }},
        month_start,
        count(distinct employee_id) as seller_count,
        count(total) as invoice_count,
        count(distinct customer_id) as customer_count,
        sum(total) as revenue
    from sold
    group by {{ id }}, month_start
),

-- The data's own last month, not today's: a rebuild tomorrow gives the same rows.
last_month as (
    select max(dates.month_start) as month_start
    from {{ source("chinook_dw", "fact_invoice") }} as invoices
    join {{ source("conformed", "dim_date") }} as dates using (date_key)
),

every_month as (
    select
        first_months.{{ id }},
        months.month_start::date as month_start
    from (select {{ id }}, min(month_start) as month_start from sold_by_month group by {{ id }}) as first_months
    cross join last_month
    cross join lateral generate_series(
        first_months.month_start, last_month.month_start, interval '1 month'
    ) as months (month_start)
),

sales as (
    select
        {{ id }},
        month_start,
        coalesce(sold_by_month.seller_count, 0) as seller_count,
        coalesce(sold_by_month.invoice_count, 0) as invoice_count,
        coalesce(sold_by_month.customer_count, 0) as customer_count,
        coalesce(sold_by_month.revenue, 0) as revenue
    from every_month
    left join sold_by_month using ({{ id }}, month_start)
)
{%- endmacro %}
