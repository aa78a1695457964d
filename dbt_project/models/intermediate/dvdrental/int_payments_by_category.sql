-- One row per payment and category of its film: none for a film without a category, several for a film in several.
select
    film_categories.category_key,
    dates.month_start,
    payments.payment_id,
    payments.store_key,
    payments.amount
from {{ source("dvddw", "fact_payment") }} as payments
join {{ source("dvddw", "bridge_film_category") }} as film_categories using (film_key)
join {{ source("conformed", "dim_date") }} as dates using (date_key)
