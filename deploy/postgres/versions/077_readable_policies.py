"""Policies have the values that programs read, by their hash; payouts wait until a step under way is over."""

from jobs.wiring.sql_migration import sql_beside

revision = "077"
down_revision = "074"
upgrade = sql_beside(__file__)
