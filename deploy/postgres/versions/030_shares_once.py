"""A share of a view is paid once; what is nobody's stands on an account of its own."""

from jobs.wiring.sql_migration import sql_beside

revision = "030"
down_revision = "029"
upgrade = sql_beside(__file__)
