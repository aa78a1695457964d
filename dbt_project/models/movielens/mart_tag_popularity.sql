-- One row per tag that users typed: how often, by how many, on how many movies.
with

uses_by_tag as (
    select
        tag_key,
        count(user_key) as use_count,
        count(distinct user_key) as user_count,
        count(distinct movie_key) as movie_count,
        min(tagged_at) as first_used_at,
        max(tagged_at) as last_used_at
    from {{ source("movielens_dw", "fact_tags") }}
    group by tag_key
),

user_tags as (
    select
        tags.tag_key,
        tags.tag_code as tag,
        coalesce(uses.use_count, 0) as use_count,
        coalesce(uses.user_count, 0) as user_count,
        coalesce(uses.movie_count, 0) as movie_count,
        uses.first_used_at,
        uses.last_used_at
    from {{ source("movielens_dw", "dim_tag") }} as tags
    left join uses_by_tag as uses using (tag_key)
    where tags.vocabulary = 'user'
)

select
    tag_key::integer as tag_key,
    tag::text as tag,
    lower(tag)::text as tag_lower,
    use_count::bigint as use_count,
    user_count::bigint as user_count,
    movie_count::bigint as movie_count,
    first_used_at::timestamptz as first_used_at,
    last_used_at::timestamptz as last_used_at,
    case
        when use_count > 0
            then row_number() over (order by use_count desc, user_count desc, tag collate "C")
    end::integer as popularity_rank
from user_tags
