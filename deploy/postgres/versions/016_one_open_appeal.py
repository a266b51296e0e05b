"""A statement has at most one appeal that is not decided yet."""

from pathlib import Path

from alembic import op

revision = "016"
down_revision = "015"


def upgrade() -> None:
    """Execute the SQL file beside this one, as it stands."""
    sql = Path(__file__).with_suffix(".sql").read_text()
    op.get_bind().exec_driver_sql(sql, execution_options={"no_parameters": True})
