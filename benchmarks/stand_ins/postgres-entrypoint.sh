#!/bin/bash
# A stand-in for the entrypoint of PostgreSQL's official image, as far as our compose file sees it:
# the variables POSTGRES_USER, _PASSWORD, _DB, _INITDB_ARGS (each also as …_FILE) and PGDATA; while
# it initialises, the server listens on a unix socket only.
set -euo pipefail

for name in POSTGRES_USER POSTGRES_PASSWORD POSTGRES_DB POSTGRES_INITDB_ARGS; do
  file=${name}_FILE
  if [ -n "${!file:-}" ]; then export "$name=$(< "${!file}")"; fi
done
user=${POSTGRES_USER:-postgres}
database=${POSTGRES_DB:-$user}

if [ ! -s "$PGDATA/PG_VERSION" ]; then
  : "${POSTGRES_PASSWORD:?Database is uninitialized and superuser password is not specified.}"
  mkdir -p "$PGDATA"
  chmod 700 "$PGDATA"
  initdb --username "$user" --pwfile <(printf '%s\n' "$POSTGRES_PASSWORD") \
    ${POSTGRES_INITDB_ARGS:-}
  echo "host all all all scram-sha-256" >> "$PGDATA/pg_hba.conf"
  echo "listen_addresses = '*'" >> "$PGDATA/postgresql.conf"
  pg_ctl -w start -o "-c listen_addresses=''"
  if [ "$database" != postgres ]; then createdb --username "$user" "$database"; fi
  for file in /docker-entrypoint-initdb.d/*.sql; do
    if [ -f "$file" ]; then psql --username "$user" --dbname "$database" --file "$file"; fi
  done
  pg_ctl -m fast -w stop
fi
exec "$@"
