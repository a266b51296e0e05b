"""A statement has at most one appeal that is not decided yet."""

from jobs.wiring.sql_migration import sql_beside

revision = "016"
down_revision = "015"
upgrade = sql_beside(__file__)
