"""The viewers of each video and day, of whom any period's unique viewers are counted."""

from jobs.wiring.sql_migration import sql_beside

revision = "074"
down_revision = "073"
upgrade = sql_beside(__file__)
