"""Payees object to what is not counted of their traffic, and those who decide on traffic answer."""

from jobs.wiring.sql_migration import sql_beside

revision = "069"
down_revision = "068"
upgrade = sql_beside(__file__)
