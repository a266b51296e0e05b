"""Sums of days over all countries and devices, so that a page about the whole platform need not add up each cell."""

from jobs.wiring.sql_migration import sql_beside

revision = "081"
down_revision = "080"
upgrade = sql_beside(__file__)
