"""The right to send dead letters again, for a login that has no other."""

from jobs.wiring.sql_migration import sql_beside

revision = "021"
down_revision = "020"
upgrade = sql_beside(__file__)
