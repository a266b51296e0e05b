"""Nodes of the checkpoints' trees, by which one record is proven without the others."""

from jobs.wiring.sql_migration import sql_beside

revision = "075"
down_revision = "077"
upgrade = sql_beside(__file__)
