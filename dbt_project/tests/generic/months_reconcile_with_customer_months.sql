{#-
  In each month just rebuilt (without month_from and month_to: in each month) the mart counts exactly the ratings and stars
  of fact_customer_months, which has a row a customer where fact_ratings has one a rating. Also fails for a month that only
  one of the two has. Fails with the month and all figures.
-#}
{% test months_reconcile_with_customer_months(model) %}
with
mart_months as (
    select month_start, sum(rating_count) as ratings, sum(rating_sum) as stars
    from {{ model }}
    where {{ of_requested_months() }}
    group by month_start
),
fact_months as (
    select
        make_date(date_key / 10000, date_key / 100 % 100, 1) as month_start,
        sum(rating_count) as ratings,
        sum(rating_sum) as stars
    from {{ source("netflix_dw", "fact_customer_months") }}
    where {{ in_requested_months("date_key") }}
    group by date_key
)
select
    month_start, mart_months.ratings as mart_ratings, fact_months.ratings as fact_ratings,
    mart_months.stars as mart_stars, fact_months.stars as fact_stars
from mart_months full join fact_months using (month_start)
where (mart_months.ratings, mart_months.stars) is distinct from (fact_months.ratings, fact_months.stars)
{% endtest %}
