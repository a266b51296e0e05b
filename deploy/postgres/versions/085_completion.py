"""How far viewers got, beside the views of each video and day."""

from jobs.wiring.sql_migration import sql_beside

revision = "085"
down_revision = "084"
upgrade = sql_beside(__file__)
