"""By which keys the events of each version were checked for an attestation."""

from jobs.wiring.sql_migration import sql_beside

revision = "048"
down_revision = "047"
upgrade = sql_beside(__file__)
