"""By which version of the event contract each message was read."""

from jobs.wiring.sql_migration import sql_beside

revision = "023"
down_revision = "022"
upgrade = sql_beside(__file__)
