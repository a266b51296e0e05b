"""Titles of videos, for people; no amount depends on one."""

from jobs.wiring.sql_migration import sql_beside

revision = "055"
down_revision = "054"
upgrade = sql_beside(__file__)
