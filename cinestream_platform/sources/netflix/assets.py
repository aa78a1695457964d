"""The assets of the Netflix Prize: which table is made from what. The parameters of a transform name its inputs."""

from cinestream_platform.orchestration.asset import landing_assets_of, raw_assets_of, table_asset
from cinestream_platform.orchestration.query_check import query_check
from cinestream_platform.orchestration.report import report_asset
from cinestream_platform.sources.netflix import feeds, tables, transforms
from cinestream_platform.sources.netflix.source import SOURCE

landing_assets = landing_assets_of(SOURCE)
raw_assets = raw_assets_of(SOURCE)
relationship_report = report_asset(SOURCE)

dim_movie = table_asset(tables.DIM_MOVIE, SOURCE)(transforms.dim_movie)
dim_customer = table_asset(tables.DIM_CUSTOMER, SOURCE)(transforms.dim_customer)
fact_ratings = table_asset(tables.FACT_RATINGS, SOURCE)(transforms.fact_ratings)
fact_customer_months = table_asset(tables.FACT_CUSTOMER_MONTHS, SOURCE)(transforms.fact_customer_months)

totals_agree = query_check(
    feeds.RATINGS,
    tables.FACT_CUSTOMER_MONTHS,
    "totals_agree",
    "Each customer's number of ratings, first and last day are those of the facts.",
    """
    SELECT customer_id, total_ratings, first_rating_date, last_rating_date, ratings, first_day, last_day
    FROM netflix_dw.dim_customer FULL JOIN (
        SELECT customer_key, sum(rating_count) AS ratings,
            to_date(min(first_date_key)::text, 'YYYYMMDD') AS first_day,
            to_date(max(last_date_key)::text, 'YYYYMMDD') AS last_day
        FROM netflix_dw.fact_customer_months GROUP BY customer_key
    ) AS facts USING (customer_key)
    WHERE is_in_source IS NOT FALSE
        AND (total_ratings, first_rating_date, last_rating_date) IS DISTINCT FROM (ratings, first_day, last_day)
    """,
    tables.DIM_CUSTOMER,
)

months_agree = query_check(
    feeds.RATINGS,
    tables.FACT_CUSTOMER_MONTHS,
    "months_agree",
    "Each month's ratings, stars and customers are those of fact_ratings.",
    # A sum of the customers' hashes tells them apart without grouping 100 million rows by them.
    """
    SELECT month, ratings, stars, customers, counted, summed, customers_counted
    FROM (
        SELECT date_key / 100 AS month, count(*) AS ratings, sum(rating) AS stars,
            sum(hashint4(customer_key)) AS customers
        FROM netflix_dw.fact_ratings GROUP BY 1
    ) AS facts FULL JOIN (
        SELECT date_key / 100 AS month, sum(rating_count) AS counted, sum(rating_sum) AS summed,
            sum(hashint4(customer_key)::bigint * rating_count) AS customers_counted
        FROM netflix_dw.fact_customer_months GROUP BY 1
    ) AS months USING (month)
    WHERE (ratings, stars, customers) IS DISTINCT FROM (counted, summed, customers_counted)
    """,
    tables.FACT_RATINGS,
)
