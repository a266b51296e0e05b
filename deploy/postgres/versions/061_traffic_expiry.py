"""Groups under review: when a run first saw each, and what happens where nobody decides."""

from jobs.wiring.sql_migration import sql_beside

revision = "061"
down_revision = "060"
upgrade = sql_beside(__file__)
