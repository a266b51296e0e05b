"""Decisions about conflicts."""

from jobs.wiring.sql_migration import sql_beside

revision = "020"
down_revision = "019"
upgrade = sql_beside(__file__)
