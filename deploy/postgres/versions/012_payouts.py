"""Bank accounts, payouts, holds, appeals, estimates."""

from jobs.wiring.sql_migration import sql_beside

revision = "012"
down_revision = "011"
upgrade = sql_beside(__file__)
