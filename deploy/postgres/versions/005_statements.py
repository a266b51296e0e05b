"""Runs, statements and their lines."""

from jobs.wiring.sql_migration import sql_beside

revision = "005"
down_revision = "004"
upgrade = sql_beside(__file__)
