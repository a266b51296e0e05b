"""Notices to payees by webhook: attempts of a second channel, and notices for accounts without an address."""

from jobs.wiring.sql_migration import sql_beside

revision = "083"
down_revision = "082"
upgrade = sql_beside(__file__)
