"""Pages show what a person looks at before they decide on a group of traffic."""

from jobs.wiring.sql_migration import sql_beside

revision = "068"
down_revision = "067"
upgrade = sql_beside(__file__)
