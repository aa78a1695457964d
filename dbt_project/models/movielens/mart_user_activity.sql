-- One row per user: how much, how long and how they rate and tag.
with

active_months_by_user as (
    select
        user_key,
        count(month_start) as active_months,
        min(month_start) as cohort_month
    from {{ ref("int_user_active_months") }}
    group by user_key
),

ratings_by_user as (
    select
        user_key,
        count(rating) as rating_count,
        count(distinct movie_key) as rated_movie_count,
        avg(rating) as rating_mean,
        min(rated_at) as first_rated_at,
        max(rated_at) as last_rated_at
    from {{ source("movielens_dw", "fact_ratings") }}
    group by user_key
),

tags_by_user as (
    select
        user_key,
        count(tag_key) as tag_count,
        min(tagged_at) as first_tagged_at,
        max(tagged_at) as last_tagged_at
    from {{ source("movielens_dw", "fact_tags") }}
    group by user_key
)

select
    users.user_key::integer as user_key,
    coalesce(ratings.rating_count, 0)::bigint as rating_count,
    coalesce(ratings.rated_movie_count, 0)::bigint as rated_movie_count,
    round(ratings.rating_mean, 6)::numeric(7, 6) as rating_mean,
    coalesce(tags.tag_count, 0)::bigint as tag_count,
    coalesce(months.active_months, 0)::integer as active_months,
    least(ratings.first_rated_at, tags.first_tagged_at)::timestamptz as first_active_at,
    greatest(ratings.last_rated_at, tags.last_tagged_at)::timestamptz as last_active_at,
    months.cohort_month::date as cohort_month
from {{ source("movielens_dw", "dim_user") }} as users
left join ratings_by_user as ratings using (user_key)
left join tags_by_user as tags using (user_key)
left join active_months_by_user as months using (user_key)
