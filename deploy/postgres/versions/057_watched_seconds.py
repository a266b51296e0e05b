"""Seconds watched, beside the views of each video, and of each video and day."""

from jobs.wiring.sql_migration import sql_beside

revision = "057"
down_revision = "056"
upgrade = sql_beside(__file__)
