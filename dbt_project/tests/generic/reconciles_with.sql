{#- One total of the mart equals one total of the table that it was built from. Fails with the two figures. -#}
{% test reconciles_with(model, total, source_table, source_total) %}
with
mart as (select coalesce({{ total }}, 0) as total from {{ model }}),
built_from as (select coalesce({{ source_total }}, 0) as total from {{ source_table }})
select mart.total as mart_total, built_from.total as source_total
from mart, built_from
where mart.total <> built_from.total
{% endtest %}
