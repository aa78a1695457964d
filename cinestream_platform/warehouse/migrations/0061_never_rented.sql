-- "Never rented" means: there is no rental, for want of a copy or in spite of one. The KPI counts films in stock alone, and
-- says so now.
DO $$
BEGIN
    IF EXISTS (
        SELECT FROM pg_attribute
        WHERE attrelid = to_regclass('dvdrental_marts.mv_kpi_global') AND attname = 'film_never_rented_count'
    ) THEN
        ALTER MATERIALIZED VIEW dvdrental_marts.mv_kpi_global
            RENAME COLUMN film_never_rented_count TO film_in_stock_never_rented_count;
    END IF;
END $$;
