"""Rejected messages that were sent again."""

from jobs.wiring.sql_migration import sql_beside

revision = "003"
down_revision = "002"
upgrade = sql_beside(__file__)
