-- One row per artist: what the tracks of its albums have sold.
with

sales as (
    {{ sales_by_product("artist_key") }}
)

select
    artists.artist_key::integer as artist_key,
    artists.artist_id::integer as artist_id,
    artists.name::text as artist_name,
    {{ product_sales_columns("sales") }}
from {{ source("chinook_dw", "dim_artist") }} as artists
left join sales using (artist_key)
