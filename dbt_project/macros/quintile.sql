{#-
  Score 1 (lowest fifth of the rows) to 5 (highest). Equal values get equal scores, that of the middle of their places:
  ntile() would split them at random, and most of a shop's customers may have bought equally often.
-#}
{% macro quintile(value) -%}
    (
        5 * (2 * (rank() over (order by {{ value }}) - 1) + count(*) over (partition by {{ value }}))
        / (2 * count(*) over ()) + 1
    )
{%- endmacro %}
