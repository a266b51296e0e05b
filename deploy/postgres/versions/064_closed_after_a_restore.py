"""Batches stay closed after a restore, and payouts are released while batch runs go on."""

from jobs.wiring.sql_migration import sql_beside

revision = "064"
down_revision = "063"
upgrade = sql_beside(__file__)
