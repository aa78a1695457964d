-- The 15 tables of dvdrental in an empty database: columns, types, constraints and triggers as in the published one.

CREATE TYPE mpaa_rating AS ENUM ('G', 'PG', 'PG-13', 'R', 'NC-17');
CREATE DOMAIN year AS integer CHECK (VALUE BETWEEN 1901 AND 2155);

CREATE TABLE country (
    country_id serial PRIMARY KEY,
    country varchar(50) NOT NULL,
    last_update timestamp NOT NULL DEFAULT now()
);
CREATE TABLE city (
    city_id serial PRIMARY KEY,
    city varchar(50) NOT NULL,
    country_id smallint NOT NULL REFERENCES country,
    last_update timestamp NOT NULL DEFAULT now()
);
CREATE TABLE address (
    address_id serial PRIMARY KEY,
    address varchar(50) NOT NULL,
    address2 varchar(50),
    district varchar(20) NOT NULL,
    city_id smallint NOT NULL REFERENCES city,
    postal_code varchar(10),
    phone varchar(20) NOT NULL,
    last_update timestamp NOT NULL DEFAULT now()
);
CREATE TABLE language (
    language_id serial PRIMARY KEY,
    name char(20) NOT NULL,
    last_update timestamp NOT NULL DEFAULT now()
);
CREATE TABLE category (
    category_id serial PRIMARY KEY,
    name varchar(25) NOT NULL,
    last_update timestamp NOT NULL DEFAULT now()
);
CREATE TABLE actor (
    actor_id serial PRIMARY KEY,
    first_name varchar(45) NOT NULL,
    last_name varchar(45) NOT NULL,
    last_update timestamp NOT NULL DEFAULT now()
);
CREATE TABLE film (
    film_id serial PRIMARY KEY,
    title varchar(255) NOT NULL,
    description text,
    release_year year,
    language_id smallint NOT NULL REFERENCES language ON UPDATE CASCADE ON DELETE RESTRICT,
    rental_duration smallint NOT NULL DEFAULT 3,
    rental_rate numeric(4,2) NOT NULL DEFAULT 4.99,
    length smallint,
    replacement_cost numeric(5,2) NOT NULL DEFAULT 19.99,
    rating mpaa_rating DEFAULT 'G',
    last_update timestamp NOT NULL DEFAULT now(),
    special_features text[],
    fulltext tsvector NOT NULL
);
CREATE TABLE film_actor (
    actor_id smallint NOT NULL REFERENCES actor ON UPDATE CASCADE ON DELETE RESTRICT,
    film_id smallint NOT NULL REFERENCES film ON UPDATE CASCADE ON DELETE RESTRICT,
    last_update timestamp NOT NULL DEFAULT now(),
    PRIMARY KEY (actor_id, film_id)
);
CREATE TABLE film_category (
    film_id smallint NOT NULL REFERENCES film ON UPDATE CASCADE ON DELETE RESTRICT,
    category_id smallint NOT NULL REFERENCES category ON UPDATE CASCADE ON DELETE RESTRICT,
    last_update timestamp NOT NULL DEFAULT now(),
    PRIMARY KEY (film_id, category_id)
);
CREATE TABLE staff (
    staff_id serial PRIMARY KEY,
    first_name varchar(45) NOT NULL,
    last_name varchar(45) NOT NULL,
    address_id smallint NOT NULL REFERENCES address ON UPDATE CASCADE ON DELETE RESTRICT,
    email varchar(50),
    store_id smallint NOT NULL,
    active boolean NOT NULL DEFAULT true,
    username varchar(16) NOT NULL,
    password varchar(40),
    last_update timestamp NOT NULL DEFAULT now(),
    picture bytea
);
CREATE TABLE store (
    store_id serial PRIMARY KEY,
    manager_staff_id smallint NOT NULL UNIQUE REFERENCES staff ON UPDATE CASCADE ON DELETE RESTRICT,
    address_id smallint NOT NULL REFERENCES address ON UPDATE CASCADE ON DELETE RESTRICT,
    last_update timestamp NOT NULL DEFAULT now()
);
CREATE TABLE customer (
    customer_id serial PRIMARY KEY,
    store_id smallint NOT NULL,
    first_name varchar(45) NOT NULL,
    last_name varchar(45) NOT NULL,
    email varchar(50),
    address_id smallint NOT NULL REFERENCES address ON UPDATE CASCADE ON DELETE RESTRICT,
    activebool boolean NOT NULL DEFAULT true,
    create_date date NOT NULL DEFAULT current_date,
    last_update timestamp DEFAULT now(),
    active integer
);
CREATE TABLE inventory (
    inventory_id serial PRIMARY KEY,
    film_id smallint NOT NULL REFERENCES film ON UPDATE CASCADE ON DELETE RESTRICT,
    store_id smallint NOT NULL,
    last_update timestamp NOT NULL DEFAULT now()
);
CREATE TABLE rental (
    rental_id serial PRIMARY KEY,
    rental_date timestamp NOT NULL,
    inventory_id integer NOT NULL REFERENCES inventory ON UPDATE CASCADE ON DELETE RESTRICT,
    customer_id smallint NOT NULL REFERENCES customer ON UPDATE CASCADE ON DELETE RESTRICT,
    return_date timestamp,
    staff_id smallint NOT NULL REFERENCES staff,
    last_update timestamp NOT NULL DEFAULT now(),
    UNIQUE (rental_date, inventory_id, customer_id)
);
CREATE TABLE payment (
    payment_id serial PRIMARY KEY,
    customer_id smallint NOT NULL REFERENCES customer ON UPDATE CASCADE ON DELETE RESTRICT,
    staff_id smallint NOT NULL REFERENCES staff ON UPDATE CASCADE ON DELETE RESTRICT,
    rental_id integer NOT NULL REFERENCES rental ON UPDATE CASCADE ON DELETE SET NULL,
    amount numeric(5,2) NOT NULL,
    payment_date timestamp NOT NULL
);

CREATE INDEX ON inventory (store_id, film_id);
CREATE INDEX ON rental (inventory_id);
CREATE INDEX ON payment (customer_id);
CREATE INDEX ON payment (rental_id);
CREATE INDEX ON film USING gist (fulltext);

-- A view, as the published database has seven: it is not a table to extract.
CREATE VIEW customer_list AS
    SELECT customer_id AS id, first_name || ' ' || last_name AS name, address, city, country, store_id AS sid
    FROM customer JOIN address USING (address_id) JOIN city USING (city_id) JOIN country USING (country_id);

CREATE FUNCTION last_updated() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.last_update = CURRENT_TIMESTAMP;
    RETURN NEW;
END $$;
DO $$
DECLARE
    relation regclass;
BEGIN
    FOR relation IN
        SELECT attrelid FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
        WHERE attname = 'last_update' AND relkind = 'r' AND relnamespace = current_schema()::regnamespace
    LOOP
        EXECUTE format(
            'CREATE TRIGGER last_updated BEFORE UPDATE ON %s FOR EACH ROW EXECUTE FUNCTION last_updated()', relation);
    END LOOP;
END $$;
CREATE TRIGGER film_fulltext_trigger BEFORE INSERT OR UPDATE ON film FOR EACH ROW
    EXECUTE FUNCTION tsvector_update_trigger('fulltext', 'pg_catalog.english', 'title', 'description');
