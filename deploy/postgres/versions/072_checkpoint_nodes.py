"""Nodes of the checkpoints' trees, by which one record is proven without the others."""

from jobs.wiring.sql_migration import sql_beside

revision = "072"
down_revision = "071"
upgrade = sql_beside(__file__)
