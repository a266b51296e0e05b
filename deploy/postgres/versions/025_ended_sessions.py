"""Sessions of the portal that were ended before their time."""

from jobs.wiring.sql_migration import sql_beside

revision = "025"
down_revision = "024"
upgrade = sql_beside(__file__)
