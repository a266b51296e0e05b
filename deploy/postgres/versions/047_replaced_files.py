"""Files of the raw events whose rows were written again into others."""

from jobs.wiring.sql_migration import sql_beside

revision = "047"
down_revision = "045"
upgrade = sql_beside(__file__)
