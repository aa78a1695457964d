{#-
  In each year just rebuilt the genres' counts together are the ratings joined to their movies' genres: a rating of a
  movie with three genres counts three times, one of a movie without a genre not at all.
-#}
{% test genre_months_reconcile(model) %}
with
mart_years as (
    select year::integer as year, sum(rating_count) as total
    from {{ model }}
    where {{ of_requested_years() }}
    group by year
),
fact_years as (
    select ratings.date_key / 10000 as year, count(*) as total
    from {{ source("movielens_dw", "fact_ratings") }} as ratings
    join {{ source("movielens_dw", "bridge_movie_genre") }} as genres using (movie_key)
    where {{ in_requested_years("ratings.date_key") }}
    group by ratings.date_key / 10000
)
select year, mart_years.total as mart_total, fact_years.total as fact_total
from mart_years full join fact_years using (year)
where mart_years.total is distinct from fact_years.total
{% endtest %}
