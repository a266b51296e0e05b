"""The cause of each transaction is looked up by its key, however many are posted at once."""

from jobs.wiring.sql_migration import sql_beside

revision = "031"
down_revision = "030"
upgrade = sql_beside(__file__)
