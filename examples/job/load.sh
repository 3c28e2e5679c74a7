#!/bin/sh
# Loads the day's sales into the database and prints what they come to. A second
# run on the same day changes nothing.
set -e
echo "loading $(wc -l < sales.csv) lines" | tee /var/log/load.log
sqlite3 "$DATABASE" <<SQL
create table if not exists sale (day text, item text, amount integer, unique (day, item));
create temp table fresh (day text, item text, amount integer);
.mode csv
.import sales.csv fresh
insert or replace into sale select * from fresh;
select 'total: ' || sum(amount) from sale;
SQL
