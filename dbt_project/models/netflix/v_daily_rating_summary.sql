-- One row per day on which a film was rated, as a dashboard draws it.
{{ config(materialized="view") }}

select
    date_key::integer as date_key,
    date::date as date,
    to_char(date, 'FMDay')::text as day_name,
    (extract(isodow from date) >= 6)::boolean as is_weekend,
    month_start::date as month_start,
    rating_count::bigint as rating_count,
    rating_mean::numeric(7, 6) as rating_mean,
    case
        when date >= min(date) over () + 6
            then round(
                sum(rating_count) over (order by date range between interval '6 days' preceding and current row) / 7, 6
            )
    end::numeric(18, 6) as rating_count_7_day_mean,
    stars_1_count::bigint as stars_1_count,
    stars_2_count::bigint as stars_2_count,
    stars_3_count::bigint as stars_3_count,
    stars_4_count::bigint as stars_4_count,
    stars_5_count::bigint as stars_5_count
from {{ ref("mart_daily_ratings") }}
