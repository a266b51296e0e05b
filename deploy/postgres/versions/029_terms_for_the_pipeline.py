"""The role of batch runs reads which catalogue is in force."""

from jobs.wiring.sql_migration import sql_beside

revision = "029"
down_revision = "028"
upgrade = sql_beside(__file__)
