"""Published versions: the one pointer through which every reader that handles money reads."""

from jobs.wiring.sql_migration import sql_beside

revision = "001"
down_revision = None
upgrade = sql_beside(__file__)
