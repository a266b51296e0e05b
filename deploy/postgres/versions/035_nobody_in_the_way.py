"""Locks that only writers can take, days that every program can read, and what was there before is not new."""

from jobs.wiring.sql_migration import sql_beside

revision = "035"
down_revision = "034"
upgrade = sql_beside(__file__)
