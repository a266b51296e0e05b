"""Policies of traffic: the thresholds of the rules of the day as approved rows."""

from jobs.wiring.sql_migration import sql_beside

revision = "058"
down_revision = "057"
upgrade = sql_beside(__file__)
