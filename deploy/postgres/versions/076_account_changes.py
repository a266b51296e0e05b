"""Changes of bank accounts, masked, for the payees whose accounts they are."""

from jobs.wiring.sql_migration import sql_beside

revision = "076"
down_revision = "075"
upgrade = sql_beside(__file__)
