"""Roles of the ledger and what each may do."""

from jobs.wiring.sql_migration import sql_beside

revision = "008"
down_revision = "007"
upgrade = sql_beside(__file__)
