-- One row per user and month in which the user rated or tagged.
with

active_dates as (
    select user_key, date_key from {{ source("movielens_dw", "fact_ratings") }}
    union
    select user_key, date_key from {{ source("movielens_dw", "fact_tags") }}
)

select distinct
    active_dates.user_key,
    dates.month_start
from active_dates
join {{ source("conformed", "dim_date") }} as dates using (date_key)
