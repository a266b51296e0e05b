"""Attestation keys that are revoked from an instant: what a version says of them."""

from jobs.wiring.sql_migration import sql_beside

revision = "080"
down_revision = "079"
upgrade = sql_beside(__file__)
