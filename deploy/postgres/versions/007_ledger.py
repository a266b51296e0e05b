"""The ledger: transactions, entries, balances."""

from jobs.wiring.sql_migration import sql_beside

revision = "007"
down_revision = "006"
upgrade = sql_beside(__file__)
