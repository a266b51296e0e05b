"""The tally of each day, and sums by day, week and month that do not grow with the catalogue."""

from jobs.wiring.sql_migration import sql_beside

revision = "079"
down_revision = "077"
upgrade = sql_beside(__file__)
