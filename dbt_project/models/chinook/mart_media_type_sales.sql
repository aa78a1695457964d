-- One row per file format: what its tracks have sold.
with

sales as (
    {{ sales_by_product("media_type_key") }}
)

select
    media_types.media_type_key::integer as media_type_key,
    media_types.media_type_id::integer as media_type_id,
    media_types.name::text as media_type_name,
    {{ product_sales_columns("sales") }}
from {{ source("chinook_dw", "dim_media_type") }} as media_types
left join sales using (media_type_key)
