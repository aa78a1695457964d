{#-
  In each year just rebuilt (without year_from and year_to: in each year) the mart counts exactly the ratings of the
  fact. Also fails for a year that only one of the two has. Fails with the year and both figures.
-#}
{% test years_reconcile_with_ratings(model, total) %}
with
mart_years as (
    select year::integer as year, {{ total }} as total
    from {{ model }}
    where {{ of_requested_years() }}
    group by year
),
fact_years as (
    select date_key / 10000 as year, count(*) as total
    from {{ source("movielens_dw", "fact_ratings") }}
    where {{ in_requested_years("date_key") }}
    group by date_key / 10000
)
select year, mart_years.total as mart_total, fact_years.total as fact_total
from mart_years full join fact_years using (year)
where mart_years.total is distinct from fact_years.total
{% endtest %}
