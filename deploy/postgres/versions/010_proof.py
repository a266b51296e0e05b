"""The journal of everything recorded, and the signed checkpoints over it."""

from jobs.wiring.sql_migration import sql_beside

revision = "010"
down_revision = "009"
upgrade = sql_beside(__file__)
