"""Versions that are no longer kept, and the joining of what they held."""

from jobs.wiring.sql_migration import sql_beside

revision = "045"
down_revision = "041"
upgrade = sql_beside(__file__)
