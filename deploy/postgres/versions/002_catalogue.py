"""The catalogue: payees, videos, rates."""

from jobs.wiring.sql_migration import sql_beside

revision = "002"
down_revision = "001"
upgrade = sql_beside(__file__)
