"""Allow-lists of policies of traffic: who is known to be honest, until when, and for which reasons."""

from jobs.wiring.sql_migration import sql_beside

revision = "077"
down_revision = "074"
upgrade = sql_beside(__file__)
