{#- The grain: no two rows share the same values in these columns. Fails with the duplicated values. -#}
{% test unique_combination(model, columns) %}
select {{ columns | join(", ") }}, count(*) as copies
from {{ model }}
group by {{ columns | join(", ") }}
having count(*) > 1
{% endtest %}
