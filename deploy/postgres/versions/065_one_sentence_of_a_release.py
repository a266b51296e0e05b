"""Payouts are released after a restore, or not, by one statement."""

from jobs.wiring.sql_migration import sql_beside

revision = "065"
down_revision = "064"
upgrade = sql_beside(__file__)
