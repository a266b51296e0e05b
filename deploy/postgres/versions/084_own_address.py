"""The address for notices beside each account that a payee sees."""

from jobs.wiring.sql_migration import sql_beside

revision = "084"
down_revision = "083"
upgrade = sql_beside(__file__)
