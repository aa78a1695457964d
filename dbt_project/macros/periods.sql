{#- Whole months from one first-of-month date to another. -#}
{% macro months_between(earlier, later) -%}
    (
        (extract(year from {{ later }}) - extract(year from {{ earlier }})) * 12
        + extract(month from {{ later }}) - extract(month from {{ earlier }})
    )::integer
{%- endmacro %}

{#- Two columns: the change to the row before in a window, absolute (null in the first row) and relative (also after 0). -#}
{% macro change_to_period_before(measure, window, type="numeric(14, 2)") -%}
    ({{ measure }} - lag({{ measure }}) over {{ window }})::{{ type }} as {{ measure }}_change,
    round(
        ({{ measure }} - lag({{ measure }}) over {{ window }})::numeric / nullif(lag({{ measure }}) over {{ window }}, 0), 6
    )::numeric(18, 6) as {{ measure }}_growth
{%- endmacro %}
