"""The payments of one payee, without the steps of everybody's."""

from jobs.wiring.sql_migration import sql_beside

revision = "062"
down_revision = "061"
upgrade = sql_beside(__file__)
