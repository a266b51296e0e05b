"""What the bank's own statements booked on the account that pays, and how the ledger follows it."""

from jobs.wiring.sql_migration import sql_beside

revision = "052"
down_revision = "051"
upgrade = sql_beside(__file__)
