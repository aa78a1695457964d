{#- The condition holds for every row (null counts as a failure). Fails with the rows where it does not. -#}
{% test expression_holds(model, expression) %}
select *
from {{ model }}
where not coalesce({{ expression }}, false)
{% endtest %}
