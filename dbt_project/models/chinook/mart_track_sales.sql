-- One row per track: what it has sold.
with

sales as (
    {{ sales_by_product("track_key") }}
)

select
    tracks.track_key::integer as track_key,
    tracks.track_id::integer as track_id,
    tracks.name::text as track_name,
    albums.title::text as album_title,
    artists.name::text as artist_name,
    genres.name::text as genre_name,
    {{ product_sales_columns("sales") }}
from {{ source("chinook_dw", "dim_track") }} as tracks
left join {{ source("chinook_dw", "dim_album") }} as albums using (album_key)
left join {{ source("chinook_dw", "dim_artist") }} as artists on tracks.artist_key = artists.artist_key
left join {{ source("chinook_dw", "dim_genre") }} as genres using (genre_key)
left join sales using (track_key)
