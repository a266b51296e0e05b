"""A role for each process and person; API keys in the journal."""

from jobs.wiring.sql_migration import sql_beside

revision = "033"
down_revision = "032"
upgrade = sql_beside(__file__)
