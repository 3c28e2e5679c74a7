#!/bin/bash
# Makes the database, and serves as a user of the application's own.
set -e

mkdir -p data
[ -e data/guestbook.db ] || sqlite3 data/guestbook.db <schema.sql
chown -R guestbook:guestbook data uploads

exec gosu guestbook "$@"
