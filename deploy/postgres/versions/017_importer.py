"""The role in which the API imports a catalogue."""

from jobs.wiring.sql_migration import sql_beside

revision = "017"
down_revision = "016"
upgrade = sql_beside(__file__)
