"""Refusals of the ledger, holds and payouts have SQLSTATEs of their own."""

from jobs.wiring.sql_migration import sql_beside

revision = "039"
down_revision = "038"
upgrade = sql_beside(__file__)
