"""Generations of the log."""

from jobs.wiring.sql_migration import sql_beside

revision = "028"
down_revision = "027"
upgrade = sql_beside(__file__)
