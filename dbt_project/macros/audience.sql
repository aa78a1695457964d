{#- Every (user_key, date_key) on which a user rated or tagged, once. -#}
{% macro active_dates_of_users() -%}
    select user_key, date_key from {{ source("movielens_dw", "fact_ratings") }}
    union
    select user_key, date_key from {{ source("movielens_dw", "fact_tags") }}
{%- endmacro %}
