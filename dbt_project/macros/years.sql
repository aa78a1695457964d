{#- The years to rebuild as a pair of integers, or nothing for all years. A full refresh is always of all years. -#}
{% macro requested_years() %}
    {%- set first, last = var("year_from", none), var("year_to", none) -%}
    {%- if first is none and last is none or flags.FULL_REFRESH -%}
        {{ return(none) }}
    {%- endif -%}
    {%- if first is not integer or last is not integer or first > last -%}
        {{ exceptions.raise_compiler_error(
            "vars year_from and year_to must be integers, year_from <= year_to, both or neither: got "
            ~ first ~ " and " ~ last
        ) }}
    {%- endif -%}
    {{ return([first, last]) }}
{% endmacro %}

{#- Condition on a YYYYMMDD date key. The bounds are literals on the partition column, so Postgres prunes partitions. -#}
{% macro in_requested_years(date_key) -%}
    {%- set years = requested_years() -%}
    {%- if years -%}
        {{ date_key }} >= {{ years[0] }}0101 and {{ date_key }} < {{ years[1] + 1 }}0101
    {%- else -%}
        true
    {%- endif -%}
{%- endmacro %}
