"""Groups under review wait from their first sighting, whatever is noted later."""

from jobs.wiring.sql_migration import sql_beside

revision = "066"
down_revision = "065"
upgrade = sql_beside(__file__)
