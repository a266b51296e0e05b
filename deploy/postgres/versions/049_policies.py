"""The policies, versions with a first day each: which views are billable."""

from jobs.wiring.sql_migration import sql_beside

revision = "049"
down_revision = "048"
upgrade = sql_beside(__file__)
