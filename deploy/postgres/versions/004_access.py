"""API keys: who may ask for what."""

from jobs.wiring.sql_migration import sql_beside

revision = "004"
down_revision = "003"
upgrade = sql_beside(__file__)
