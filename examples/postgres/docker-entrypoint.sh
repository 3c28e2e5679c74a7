#!/bin/sh
# Makes the database on the first start, then runs what it is given.
set -e

if [ "$(id -u)" = 0 ]; then
    # A new volume belongs to root.
    mkdir -p "$PGDATA" /run/postgresql
    chown -R postgres:postgres "$PGDATA" /run/postgresql
    exec gosu postgres "$0" "$@"
fi

mkdir -p "$PGDATA"
chmod 700 "$PGDATA" # postgres takes nothing wider
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    echo "making the database $POSTGRES_DB"
    password=$(mktemp)
    printf '%s\n' "${POSTGRES_PASSWORD:?is not set}" > "$password"
    initdb --username="$POSTGRES_USER" --pwfile="$password" --auth-local=trust --auth-host=scram-sha-256 --locale=C.UTF-8
    rm "$password"
    echo "host all all all scram-sha-256" >> "$PGDATA/pg_hba.conf"
    printf 'create database %s;\n' "$POSTGRES_DB" | postgres --single -j postgres
fi
exec "$@"
