"""Refusals of what is published and of access have SQLSTATEs of their own."""

from jobs.wiring.sql_migration import sql_beside

revision = "036"
down_revision = "035"
upgrade = sql_beside(__file__)
