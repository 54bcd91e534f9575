#!/bin/sh
# Run once, by the image, when the database folder is empty: the hub gets a role that is no superuser
# and owns its database alone.  TimescaleDB has been created in it before by the image.
set -eu
: "${CTG_DB_PASSWORD:?the password of the hub at the database}"

psql -v ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" <<'SQL'
\getenv password CTG_DB_PASSWORD
\getenv database POSTGRES_DB
CREATE ROLE ctg_hub LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD :'password';
ALTER DATABASE :"database" OWNER TO ctg_hub;
REVOKE ALL ON DATABASE :"database" FROM PUBLIC;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
SQL
