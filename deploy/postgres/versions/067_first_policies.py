"""The refusal of a policy for a day that has begun names one before it only if there is one."""

from jobs.wiring.sql_migration import sql_beside

revision = "067"
down_revision = "066"
upgrade = sql_beside(__file__)
