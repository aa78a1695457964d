{#- Columns stars_1_count to stars_5_count of ratings (column `rating`), in whatever they are grouped by. -#}
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
