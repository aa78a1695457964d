{#-
  How a mart is rebuilt. dbt's `incremental` materialization creates the table on the first run, and later computes the
  new rows into a temporary table and calls the strategies below; comments and hooks are in the same transaction.

  replace_all     every row of the mart is replaced
  replace_years   every row of the requested years is replaced (vars year_from, year_to; the mart's column `year`), also
                  where a year has become empty: `delete+insert` by key would keep its old rows
  replace_months  the same by month (vars month_from, month_to; the mart's column `month_start`)
-#}

{% macro get_incremental_replace_all_sql(arg_dict) -%}
    {{ replace_rows(arg_dict, "true") }}
{%- endmacro %}

{% macro get_incremental_replace_years_sql(arg_dict) -%}
    {{ replace_rows(arg_dict, of_requested_years()) }}
{%- endmacro %}

{% macro get_incremental_replace_months_sql(arg_dict) -%}
    {{ replace_rows(arg_dict, of_requested_months()) }}
{%- endmacro %}

{% macro replace_rows(arg_dict, condition) -%}
    {%- set columns = arg_dict["dest_columns"] | map(attribute="quoted") | join(", ") -%}
    delete from {{ arg_dict["target_relation"] }} where {{ condition }};
    insert into {{ arg_dict["target_relation"] }} ({{ columns }})
    select {{ columns }} from {{ arg_dict["temp_relation"] }}
{%- endmacro %}

{#-
  Two runs on one mart: the second waits here, before it reads the facts, so that the last commit always holds the
  newest facts. The row of a table that readers have no right on (cinestream_platform/warehouse/locks.py): it neither
  disturbs them, nor can they take it, nor need the mart exist. The limit of time is here as it is unknown before 17; all
  others are set at the login (cinestream_platform/warehouse/sessions.py).
-#}
{% macro one_writer_at_a_time(relation) -%}
    {%- set name = dbt.string_literal("mart " ~ relation.schema ~ "." ~ relation.identifier) -%}
    select set_config('transaction_timeout', '0', false) where current_setting('server_version_num')::int >= 170000;
    insert into ops.lock (name) values ({{ name }}) on conflict do nothing;
    select from ops.lock where name = {{ name }} for update
{%- endmacro %}

{#- Statistics of the new rows; a view has none. -#}
{% macro statistics_of(relation) -%}
    {%- if config.get("materialized") != "view" %}analyze {{ relation }}{% endif -%}
{%- endmacro %}
