-- dim_date has more columns than when it was published. A publication whose partition is gone (no table has the oid 0) is
-- made again at once; what reads the calendar is not stale before it has been.
UPDATE ops.publication SET relation = 0 WHERE schema_name = 'conformed' AND table_name = 'dim_date' AND is_latest;
