"""A word of money means one thing in the reporting views and in the books."""

from jobs.wiring.sql_migration import sql_beside

revision = "040"
down_revision = "039"
upgrade = sql_beside(__file__)
