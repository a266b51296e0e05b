"""What the rules of a period find in traffic, and the thresholds by which they do."""

from jobs.wiring.sql_migration import sql_beside

revision = "070"
down_revision = "069"
upgrade = sql_beside(__file__)
