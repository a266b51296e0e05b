"""Payments and accounts with the account masked, for the page of a payee's earnings."""

from jobs.wiring.sql_migration import sql_beside

revision = "059"
down_revision = "058"
upgrade = sql_beside(__file__)
