{#- The column is null or within the bounds (inclusive). Fails with the rows outside. -#}
{% test in_range(model, column_name, minimum=none, maximum=none) %}
select *
from {{ model }}
where false
    {%- if minimum is not none %} or {{ column_name }} < {{ minimum }}{% endif %}
    {%- if maximum is not none %} or {{ column_name }} > {{ maximum }}{% endif %}
{% endtest %}
