{#- A mart lies in the schema of its source, which is its folder: models/movielens/… in movielens_marts. -#}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ custom_schema_name or node.fqn[1] ~ "_marts" }}
{%- endmacro %}
