"""Executors write a run's counts to staging tables, from which publishing copies them."""

from jobs.wiring.sql_migration import sql_beside

revision = "041"
down_revision = "040"
upgrade = sql_beside(__file__)
