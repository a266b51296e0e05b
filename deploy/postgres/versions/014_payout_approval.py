"""A payout batch is approved by a second person before its file can be written, and can be voided until then."""

from pathlib import Path

from alembic import op

revision = "014"
down_revision = "013"


def upgrade() -> None:
    """Execute the SQL file beside this one, as it stands."""
    sql = Path(__file__).with_suffix(".sql").read_text()
    op.get_bind().exec_driver_sql(sql, execution_options={"no_parameters": True})
