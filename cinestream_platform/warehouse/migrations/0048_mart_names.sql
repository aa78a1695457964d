-- Every table of marts is called mart_…; the name that the business gave goes on as a view. The rename and the view are
-- one transaction, so that nobody finds the name missing; what reads the table (mv_kpi_global) follows it. The readers'
-- rights on the view are the default privileges of the schema. What dbt says of the view comes with its next run.
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_class WHERE oid = to_regclass('dvdrental_marts.gold_kpi_category') AND relkind = 'r')
        AND to_regclass('dvdrental_marts.mart_kpi_category') IS NULL
    THEN
        ALTER TABLE dvdrental_marts.gold_kpi_category RENAME TO mart_kpi_category;
        CREATE VIEW dvdrental_marts.gold_kpi_category AS SELECT * FROM dvdrental_marts.mart_kpi_category;
    END IF;
END $$;
