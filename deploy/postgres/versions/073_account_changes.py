"""Changes of bank accounts, masked, for the payees whose accounts they are."""

from jobs.wiring.sql_migration import sql_beside

revision = "073"
down_revision = "072"
upgrade = sql_beside(__file__)
