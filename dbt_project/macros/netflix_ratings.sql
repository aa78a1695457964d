{#- Columns stars_1_count to stars_5_count of ratings, in whatever they are grouped by. -#}
{% macro counts_of_each_star() -%}
    {%- for stars in range(1, 6) %}
    count(*) filter (where rating = {{ stars }}) as stars_{{ stars }}_count{{ "," if not loop.last }}
    {%- endfor %}
{%- endmacro %}

{#- The same columns added up over rows that have them. -#}
{% macro sums_of_each_star() -%}
    {%- for stars in range(1, 6) %}
    sum(stars_{{ stars }}_count) as stars_{{ stars }}_count{{ "," if not loop.last }}
    {%- endfor %}
{%- endmacro %}

{#- Customers of the source by the month of their first rating: month_start, new_customers. -#}
{% macro new_customers_by_month() -%}
    select
        date_trunc('month', first_rating_date::timestamp)::date as month_start,
        count(customer_key) as new_customers
    from {{ source("netflix_dw", "dim_customer") }}
    where is_in_source and first_rating_date is not null
    group by date_trunc('month', first_rating_date::timestamp)::date
{%- endmacro %}
