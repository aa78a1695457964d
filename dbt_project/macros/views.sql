{#-
  Where dbt's materialized view falls short of what is promised of a mart: its contract is not checked, a changed query is
  not noticed (only changed indexes are), and a refresh locks readers out. See docs/decisions/023-views-are-left-alone.md.
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
  None, or what makes dbt create the view anew beside the old one and rename it.
-#}
{% macro postgres__get_materialized_view_configuration_changes(existing_relation, new_config) -%}
    {%- if not compared_with(existing_relation, sql).has_same_query -%}
        {{ return({"requires_full_refresh": true}) }}
    {%- endif -%}
    {{ return(none) }}
{%- endmacro %}

{#-
  Whether a view that exists has this query, and the columns of it. The queries are compared as Postgres writes them: an
  equal text gives an equal definition, and no hash has to be kept anywhere.
-#}
{% macro compared_with(existing_relation, sql) -%}
    {%- set wanted = "pg_temp." ~ existing_relation.identifier ~ "_wanted" -%}
    {%- call statement("compared", fetch_result=True) -%}
        create temporary view {{ existing_relation.identifier }}_wanted as {{ sql }};
        select
            pg_get_viewdef('{{ wanted }}'::regclass) = pg_get_viewdef('{{ existing_relation }}'::regclass) as has_same_query,
            array(
                select row(attname, atttypid, atttypmod, attcollation) from pg_attribute
                where attrelid = '{{ wanted }}'::regclass order by attnum
            ) = array(
                select row(attname, atttypid, atttypmod, attcollation) from pg_attribute
                where attrelid = '{{ existing_relation }}'::regclass order by attnum
            ) as has_same_columns;
    {%- endcall -%}
    {%- do run_query("drop view " ~ wanted) -%}
    {%- set row = load_result("compared").table.rows[0] -%}
    {{ return({"has_same_query": row[0], "has_same_columns": row[1]}) }}
{%- endmacro %}

{#-
  dbt's own view is a new one that is renamed into place at every run: each rename waits for all readers and lets none in
  meanwhile. Here a view whose query is the same is left alone, and one with the same columns is replaced.
-#}
{% materialization view, adapter="postgres" -%}
    {%- set view = this.incorporate(type="view") -%}
    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}
    {%- if config.get("contract").enforced %}{% do get_assert_columns_equivalent(sql) %}{% endif -%}

    {#- Asked of Postgres: dbt's cache knows nothing of a view that fell with its table's full refresh. -#}
    {%- set kinds = run_query("select relkind::text from pg_class where oid = to_regclass('" ~ view.include(database=False) ~ "')") -%}
    {%- set kind = kinds.rows[0][0] if kinds.rows | length else none -%}
    {%- set compared = compared_with(view, sql) if kind == "v" else {} -%}
    {% call statement("main") -%}
        {%- if compared.get("has_same_query") %}
            select 'unchanged'
        {%- elif compared.get("has_same_columns") %}
            create or replace view {{ view }} as {{ sql }}
        {%- else %}
            {%- if kind is not none %}
            drop {{ {"v": "view", "m": "materialized view"}.get(kind, "table") }} {{ view }} cascade;
            {%- endif %}
            create view {{ view }} as {{ sql }}
        {%- endif %}
    {%- endcall %}

    {%- do persist_docs(view, model) -%}
    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {{ adapter.commit() }}
    {{ run_hooks(post_hooks, inside_transaction=False) }}
    {{ return({"relations": [view]}) }}
{%- endmaterialization %}

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
