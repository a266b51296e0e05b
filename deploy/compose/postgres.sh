#!/bin/bash
# Run once by the image of PostgreSQL on a fresh volume: the login that migrates. It makes logins and is not a superuser.
set -eu
psql --set=ON_ERROR_STOP=1 --username=postgres --dbname=postgres --set=password="$VIEWLEDGER_POSTGRES_PASSWORD" <<'SQL'
CREATE ROLE viewledger LOGIN CREATEROLE PASSWORD :'password';
CREATE DATABASE viewledger OWNER viewledger;
SQL
