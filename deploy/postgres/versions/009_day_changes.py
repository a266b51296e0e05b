"""What each version changed by video, day, quarter of an hour, country and device."""

from jobs.wiring.sql_migration import sql_beside

revision = "009"
down_revision = "008"
upgrade = sql_beside(__file__)
