-- One row per album: what its tracks have sold.
with

sales as (
    {{ sales_by_product("album_key") }}
)

select
    albums.album_key::integer as album_key,
    albums.album_id::integer as album_id,
    albums.title::text as album_title,
    artists.name::text as artist_name,
    {{ product_sales_columns("sales") }}
from {{ source("chinook_dw", "dim_album") }} as albums
left join {{ source("chinook_dw", "dim_artist") }} as artists using (artist_key)
left join sales using (album_key)
