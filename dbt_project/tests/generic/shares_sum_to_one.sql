{#- Within each group the shares, each rounded to six decimals, add up to 1. Fails with the groups that do not. -#}
{% test shares_sum_to_one(model, column_name, within) %}
select {{ within }}, sum({{ column_name }}) as total
from {{ model }}
group by {{ within }}
having abs(sum({{ column_name }}) - 1) > 0.000001 * count(*)
{% endtest %}
