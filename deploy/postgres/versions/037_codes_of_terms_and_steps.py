"""Refusals of terms, steps and second persons have SQLSTATEs of their own."""

from jobs.wiring.sql_migration import sql_beside

revision = "037"
down_revision = "036"
upgrade = sql_beside(__file__)
