-- One row per genre: what its tracks have sold.
with

sales as (
    {{ sales_by_product("genre_key") }}
)

select
    genres.genre_key::integer as genre_key,
    genres.genre_id::integer as genre_id,
    genres.name::text as genre_name,
    {{ product_sales_columns("sales") }}
from {{ source("chinook_dw", "dim_genre") }} as genres
left join sales using (genre_key)
