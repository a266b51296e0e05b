"""People's decisions about groups of events whose traffic is under review."""

from jobs.wiring.sql_migration import sql_beside

revision = "053"
down_revision = "052"
upgrade = sql_beside(__file__)
