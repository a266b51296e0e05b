"""Answers to requests that may come twice, by the key of each; the API may no longer insert appeals."""

from jobs.wiring.sql_migration import sql_beside

revision = "015"
down_revision = "014"
upgrade = sql_beside(__file__)
