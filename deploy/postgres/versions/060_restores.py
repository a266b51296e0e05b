"""The identity of the installation, its restores from backups, and payouts that wait after one."""

from jobs.wiring.sql_migration import sql_beside

revision = "060"
down_revision = "059"
upgrade = sql_beside(__file__)
