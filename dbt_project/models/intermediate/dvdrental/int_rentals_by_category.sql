-- One row per rental and category of its film: none for a film without a category, several for a film in several.
select
    film_categories.category_key,
    dates.month_start,
    rentals.rental_id,
    rentals.store_key,
    rentals.film_key,
    rentals.inventory_key,
    customers.customer_id,
    rentals.is_open,
    rentals.late_days,
    rentals.payment_count
from {{ source("dvddw", "fact_rental") }} as rentals
join {{ source("dvddw", "dim_customer") }} as customers using (customer_key)
join {{ source("dvddw", "bridge_film_category") }} as film_categories using (film_key)
join {{ source("conformed", "dim_date") }} as dates using (date_key)
