{#-
  Where dbt's materialized view falls short of what is promised of a mart: its contract is not checked, a changed query is
  not noticed (only changed indexes are), and a refresh locks readers out. See docs/decisions/007-marts-in-place.md.
-#}

{% macro postgres__get_create_materialized_view_as_sql(relation, sql) -%}
    {%- if config.get("contract").enforced %}{{ get_assert_columns_equivalent(sql) }}{% endif %}
    create materialized view {{ relation }} as {{ sql }};
    {% for index in config.get("indexes", []) %}{{ get_create_index_sql(relation, index) }};{% endfor %}
{%- endmacro %}

{#- Readers go on reading the old rows until the commit; needs a unique index. -#}
{% macro postgres__refresh_materialized_view(relation) -%}
    refresh materialized view concurrently {{ relation }}
{%- endmacro %}

{#-
  None, or what makes dbt create the view anew beside the old one and rename it. The queries are compared as Postgres
  writes them: an equal text gives an equal definition, and no hash has to be kept anywhere.
-#}
{% macro postgres__get_materialized_view_configuration_changes(existing_relation, new_config) -%}
    {%- call statement("is_same", fetch_result=True) -%}
        create temporary view {{ existing_relation.identifier }}_wanted as {{ sql }};
        select
            pg_get_viewdef('pg_temp.{{ existing_relation.identifier }}_wanted'::regclass)
            = pg_get_viewdef('{{ existing_relation }}'::regclass) as is_same;
    {%- endcall -%}
    {%- do run_query("drop view pg_temp." ~ existing_relation.identifier ~ "_wanted") -%}
    {%- if not load_result("is_same").table.rows[0][0] -%}
        {{ return({"requires_full_refresh": true}) }}
    {%- endif -%}
    {{ return(none) }}
{%- endmacro %}

{#- dbt's own asks information_schema, which knows no materialized view: columns would be neither commented nor shown. -#}
{% macro postgres__get_columns_in_relation(relation) -%}
    {%- call statement("get_columns_in_relation", fetch_result=True) -%}
        select
            attname as column_name,
            format_type(atttypid, null) as data_type,
            information_schema._pg_char_max_length(atttypid, atttypmod) as character_maximum_length,
            information_schema._pg_numeric_precision(atttypid, atttypmod) as numeric_precision,
            information_schema._pg_numeric_scale(atttypid, atttypmod) as numeric_scale
        from pg_attribute
        where attrelid = to_regclass('{{ relation.include(database=False) }}') and attnum > 0 and not attisdropped
        order by attnum
    {%- endcall -%}
    {{ return(sql_convert_columns_in_relation(load_result("get_columns_in_relation").table)) }}
{%- endmacro %}
