"""Numbers that clients choose follow one another."""

from jobs.wiring.sql_migration import sql_beside

revision = "032"
down_revision = "031"
upgrade = sql_beside(__file__)
