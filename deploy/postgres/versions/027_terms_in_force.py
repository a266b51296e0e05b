"""What decides who is paid comes into force by a second person."""

from jobs.wiring.sql_migration import sql_beside

revision = "027"
down_revision = "026"
upgrade = sql_beside(__file__)
