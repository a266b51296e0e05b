"""Fixed search paths for every function, and no right for everybody."""

from jobs.wiring.sql_migration import sql_beside

revision = "022"
down_revision = "021"
upgrade = sql_beside(__file__)
