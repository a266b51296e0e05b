#!/bin/bash
# Run once by the image of PostgreSQL on a fresh volume: the login that migrates, which makes logins and is not a
# superuser, and the login that reads statistics for Prometheus.
set -eu
psql --set=ON_ERROR_STOP=1 --username=postgres --dbname=postgres --set=password="$VIEWLEDGER_POSTGRES_PASSWORD" \
    --set=monitor="$VIEWLEDGER_MONITOR_PASSWORD" <<'SQL'
CREATE ROLE viewledger LOGIN CREATEROLE PASSWORD :'password';
CREATE ROLE monitor LOGIN PASSWORD :'monitor' CONNECTION LIMIT 3 IN ROLE pg_monitor;
CREATE DATABASE viewledger OWNER viewledger;
SQL
