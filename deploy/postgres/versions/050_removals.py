"""Raw events that are removed on purpose, and the days of which they are still needed."""

from jobs.wiring.sql_migration import sql_beside

revision = "050"
down_revision = "049"
upgrade = sql_beside(__file__)
