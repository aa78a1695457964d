{#- Every (user_key, date_key) on which a user rated or tagged, once. -#}
{% macro active_dates_of_users() -%}
    select user_key, date_key from {{ source("movielens_dw", "fact_ratings") }}
    union
    select user_key, date_key from {{ source("movielens_dw", "fact_tags") }}
{%- endmacro %}

{#- Whole months from one first-of-month date to another. -#}
{% macro months_between(earlier, later) -%}
    (
        (extract(year from {{ later }}) - extract(year from {{ earlier }})) * 12
        + extract(month from {{ later }}) - extract(month from {{ earlier }})
    )::integer
{%- endmacro %}
