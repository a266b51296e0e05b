"""Late events that a version is the first to judge as accepted."""

from jobs.wiring.sql_migration import sql_beside

revision = "018"
down_revision = "017"
upgrade = sql_beside(__file__)
