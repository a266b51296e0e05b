"""States as appended transitions."""

from jobs.wiring.sql_migration import sql_beside

revision = "006"
down_revision = "005"
upgrade = sql_beside(__file__)
