"""The right to send dead letters again, for a login that has no other."""

from pathlib import Path

from alembic import op

revision = "021"
down_revision = "020"


def upgrade() -> None:
    """Execute the SQL file beside this one, as it stands."""
    sql = Path(__file__).with_suffix(".sql").read_text()
    op.get_bind().exec_driver_sql(sql, execution_options={"no_parameters": True})
