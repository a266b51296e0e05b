"""Steps have their subjects, subjects their first steps; what is posted is replaced by a second person alone."""

from jobs.wiring.sql_migration import sql_beside

revision = "034"
down_revision = "033"
upgrade = sql_beside(__file__)
