"""The journal also notes bank accounts, payouts, holds, appeals and notices."""

from jobs.wiring.sql_migration import sql_beside

revision = "013"
down_revision = "012"
upgrade = sql_beside(__file__)
