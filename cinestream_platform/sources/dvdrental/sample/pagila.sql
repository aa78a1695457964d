-- What Pagila has otherwise, applied to the empty tables of dvdrental.sql: timestamptz, original_language_id, payment
-- partitioned by month (and a last partition for what no month takes).

DROP TABLE payment;
ALTER TABLE film ADD COLUMN original_language_id smallint REFERENCES language ON UPDATE CASCADE ON DELETE RESTRICT;
DO $$
DECLARE
    relation regclass;
    name name;
BEGIN
    FOR relation, name IN
        SELECT attrelid, attname FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
        WHERE atttypid = 'timestamp'::regtype AND relkind = 'r' AND relnamespace = current_schema()::regnamespace
    LOOP
        EXECUTE format('ALTER TABLE %s ALTER COLUMN %I TYPE timestamptz', relation, name);
    END LOOP;
END $$;

CREATE TABLE payment (
    payment_id serial,
    customer_id integer NOT NULL REFERENCES customer ON UPDATE CASCADE ON DELETE RESTRICT,
    staff_id integer NOT NULL REFERENCES staff ON UPDATE CASCADE ON DELETE RESTRICT,
    rental_id integer NOT NULL REFERENCES rental ON UPDATE CASCADE ON DELETE SET NULL,
    amount numeric(5,2) NOT NULL,
    payment_date timestamptz NOT NULL,
    PRIMARY KEY (payment_date, payment_id)
) PARTITION BY RANGE (payment_date);
CREATE TABLE payment_p2007_02 PARTITION OF payment FOR VALUES FROM ('2007-02-01 00:00+00') TO ('2007-03-01 00:00+00');
CREATE TABLE payment_p2007_03 PARTITION OF payment FOR VALUES FROM ('2007-03-01 00:00+00') TO ('2007-04-01 00:00+00');
CREATE TABLE payment_p2007_04 PARTITION OF payment FOR VALUES FROM ('2007-04-01 00:00+00') TO ('2007-05-01 00:00+00');
CREATE TABLE payment_p2007_05 PARTITION OF payment FOR VALUES FROM ('2007-05-01 00:00+00') TO ('2007-06-01 00:00+00');
CREATE TABLE payment_default PARTITION OF payment DEFAULT;
CREATE INDEX ON payment (customer_id);
CREATE INDEX ON payment (rental_id);
