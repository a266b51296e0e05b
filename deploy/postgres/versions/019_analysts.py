"""The role of the SQL server for analysts: it reads the catalogue and what was published."""

from jobs.wiring.sql_migration import sql_beside

revision = "019"
down_revision = "018"
upgrade = sql_beside(__file__)
