"""The login of who it was, stamped by the database; four eyes are two logins; limits that billing cannot write."""

from jobs.wiring.sql_migration import sql_beside

revision = "026"
down_revision = "025"
upgrade = sql_beside(__file__)
