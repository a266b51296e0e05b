"""Every transaction has one cause and says no more than follows from it."""

from jobs.wiring.sql_migration import sql_beside

revision = "024"
down_revision = "023"
upgrade = sql_beside(__file__)
