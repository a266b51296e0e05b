"""People's decisions about groups of events whose traffic is under review."""

from jobs.wiring.sql_migration import sql_beside

revision = "052"
down_revision = "051"
upgrade = sql_beside(__file__)
