"""Policies of traffic that the program cannot read are refused before they come into force."""

from jobs.wiring.sql_migration import sql_beside

revision = "063"
down_revision = "062"
upgrade = sql_beside(__file__)
