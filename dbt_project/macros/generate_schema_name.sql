{#- The schema is exactly the one that the folder names in dbt_project.yml (dbt's default would prefix the target's). -#}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ (custom_schema_name or target.schema) | trim }}
{%- endmacro %}
