"""Policies have the values that programs read, by their hash; payouts wait until a step under way is over."""

from jobs.wiring.sql_migration import sql_beside

revision = "071"
down_revision = "070"
upgrade = sql_beside(__file__)
