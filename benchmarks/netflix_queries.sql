-- Sample questions, from the star and from the marts. A line "-- name: question, from" begins each.

-- name: ten most rated films, facts
SELECT m.title, r.rating_count, r.rating_mean
FROM (
    SELECT movie_key, count(*) AS rating_count, round(avg(rating), 2) AS rating_mean
    FROM netflix_dw.fact_ratings GROUP BY movie_key ORDER BY count(*) DESC, movie_key LIMIT 10
) AS r JOIN netflix_dw.dim_movie AS m USING (movie_key)
ORDER BY r.rating_count DESC, movie_key;

-- name: ten most rated films, marts
SELECT title, rating_count, round(rating_mean, 2) AS rating_mean
FROM netflix_marts.v_movie_performance ORDER BY rating_count DESC, movie_key LIMIT 10;

-- name: mean by year, facts
SELECT date_key / 10000 AS year, count(*) AS rating_count, round(avg(rating), 4) AS rating_mean
FROM netflix_dw.fact_ratings GROUP BY 1 ORDER BY 1;

-- name: mean by year, marts
SELECT year, rating_count, round(rating_mean, 4) AS rating_mean FROM netflix_marts.mart_ratings_by_year ORDER BY year;

-- name: customers by month and how much they rate, facts
SELECT date_key / 100 AS month, count(DISTINCT customer_key) AS customers,
    round(count(*)::numeric / count(DISTINCT customer_key), 2) AS ratings_per_customer
FROM netflix_dw.fact_ratings GROUP BY 1 ORDER BY 1;

-- name: customers by month and how much they rate, facts by customer and month
SELECT date_key / 100 AS month, count(*) AS customers, round(sum(rating_count)::numeric / count(*), 2) AS ratings_per_customer
FROM netflix_dw.fact_customer_months GROUP BY 1 ORDER BY 1;

-- name: customers by month and how much they rate, marts
SELECT month_start, sum(customer_count) AS customers, round(sum(rating_count) / sum(customer_count), 2) AS ratings_per_customer
FROM netflix_marts.mart_customer_trends GROUP BY month_start ORDER BY month_start;

-- name: ratings by month, facts
SELECT date_key / 100 AS month, count(*) AS rating_count, round(avg(rating), 4) AS rating_mean
FROM netflix_dw.fact_ratings GROUP BY 1 ORDER BY 1;

-- name: ratings by month, marts
SELECT month_start, rating_count, round(rating_mean, 4) AS rating_mean
FROM netflix_marts.mart_ratings_by_month ORDER BY month_start;

-- name: ratings of one film by year, facts
SELECT date_key / 10000 AS year, count(*) AS rating_count, round(avg(rating), 2) AS rating_mean
FROM netflix_dw.fact_ratings
WHERE movie_key = (SELECT movie_key FROM netflix_dw.dim_movie ORDER BY movie_id LIMIT 1)
GROUP BY 1 ORDER BY 1;

-- name: mean by decade of release, of customers who joined in 2004, facts
SELECT m.release_year / 10 * 10 AS decade, count(*) AS rating_count, round(avg(f.rating), 4) AS rating_mean
FROM netflix_dw.fact_ratings AS f
    JOIN netflix_dw.dim_movie AS m USING (movie_key)
    JOIN netflix_dw.dim_customer AS c USING (customer_key)
WHERE c.first_rating_date >= '2004-01-01' AND c.first_rating_date < '2005-01-01'
GROUP BY 1 ORDER BY 1;
