"""What waits for a person in the batch tables, as the last night found it."""

from jobs.wiring.sql_migration import sql_beside

revision = "056"
down_revision = "055"
upgrade = sql_beside(__file__)
