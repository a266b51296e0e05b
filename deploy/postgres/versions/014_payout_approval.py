"""A payout batch is approved by a second person before its file can be written, and can be voided until then."""

from jobs.wiring.sql_migration import sql_beside

revision = "014"
down_revision = "013"
upgrade = sql_beside(__file__)
