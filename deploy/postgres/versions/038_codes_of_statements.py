"""Refusals of runs and statements have SQLSTATEs of their own."""

from jobs.wiring.sql_migration import sql_beside

revision = "038"
down_revision = "037"
upgrade = sql_beside(__file__)
