{#-
  What models tagged `by_year` or `by_month` rebuild: vars year_from and year_to (2005), month_from and month_to (200512).
  As a pair of integers, or nothing for all partitions. A full refresh is always of all partitions.
  The platform says it by the environment (CINESTREAM_DBT_YEAR_FROM …): with other vars dbt would parse the whole project
  anew, which takes 3 s; with another environment it parses the models that ask for it.
-#}
{% macro requested_bound(unit, end) %}
    {%- set by_hand = var(unit ~ "_" ~ end, none) -%}
    {%- set said = env_var("CINESTREAM_DBT_" ~ unit | upper ~ "_" ~ end | upper, "") -%}
    {{ return((said | int(said) if said else none) if by_hand is none else by_hand) }}
{% endmacro %}

{% macro requested_span(unit) %}
    {%- set first, last = requested_bound(unit, "from"), requested_bound(unit, "to") -%}
    {%- if first is none and last is none or flags.FULL_REFRESH -%}
        {{ return(none) }}
    {%- endif -%}
    {%- if first is not integer or last is not integer or first > last -%}
        {{ exceptions.raise_compiler_error(
            "vars " ~ unit ~ "_from and " ~ unit ~ "_to must be integers, " ~ unit ~ "_from <= " ~ unit
            ~ "_to, both or neither: got " ~ first ~ " and " ~ last
        ) }}
    {%- endif -%}
    {{ return([first, last]) }}
{% endmacro %}

{% macro requested_years() %}
    {{ return(requested_span("year")) }}
{% endmacro %}

{% macro requested_months() %}
    {%- set months = requested_span("month") -%}
    {%- for month in months or [] if not 1 <= month % 100 <= 12 -%}
        {{ exceptions.raise_compiler_error("vars month_from and month_to must be months as YYYYMM: got " ~ month) }}
    {%- endfor -%}
    {{ return(months) }}
{% endmacro %}

{#- Conditions on a YYYYMMDD date key. The bounds are literals on the partition column, so Postgres prunes partitions. -#}
{% macro in_requested_years(date_key) -%}
    {%- set years = requested_years() -%}
    {%- if years -%}
        {{ date_key }} >= {{ years[0] }}0101 and {{ date_key }} < {{ years[1] + 1 }}0101
    {%- else -%}
        true
    {%- endif -%}
{%- endmacro %}

{% macro in_requested_months(date_key) -%}
    {%- set months = requested_months() -%}
    {%- if months -%}
        {%- set next = months[1] + (89 if months[1] % 100 == 12 else 1) -%}
        {{ date_key }} >= {{ months[0] }}01 and {{ date_key }} < {{ next }}01
    {%- else -%}
        true
    {%- endif -%}
{%- endmacro %}

{#- The same of a mart's own rows, whose partition is in the column `year` or `month_start`. -#}
{% macro of_requested_years() -%}
    {%- set years = requested_years() -%}
    {%- if years %}year between {{ years[0] }} and {{ years[1] }}{% else %}true{% endif -%}
{%- endmacro %}

{% macro of_requested_months() -%}
    {%- set months = requested_months() -%}
    {%- if months -%}
        month_start between
        {%- for month in months %}{{ " and" if not loop.first }} date '{{ "%d-%02d-01" | format(month // 100, month % 100) }}'{% endfor -%}
    {%- else -%}
        true
    {%- endif -%}
{%- endmacro %}
