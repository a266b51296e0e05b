"""What each version changed in the invalid traffic of a video on a day, by the class that payees see."""

from jobs.wiring.sql_migration import sql_beside

revision = "051"
down_revision = "050"
upgrade = sql_beside(__file__)
