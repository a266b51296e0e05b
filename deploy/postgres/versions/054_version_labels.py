"""Names that people give to published versions."""

from jobs.wiring.sql_migration import sql_beside

revision = "054"
down_revision = "053"
upgrade = sql_beside(__file__)
