"""Notices to payees by e-mail: the address beside the account, what there is to tell, and each attempt to tell it."""

from jobs.wiring.sql_migration import sql_beside

revision = "082"
down_revision = "081"
upgrade = sql_beside(__file__)
