"""The reporting schema: stable views for BI tools."""

from jobs.wiring.sql_migration import sql_beside

revision = "011"
down_revision = "010"
upgrade = sql_beside(__file__)
