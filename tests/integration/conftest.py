"""What several integration tests share: one topic with its published versions, and one SQL server on them."""

from tests.batch_on_stack import batch, warm_driver
from tests.sql_on_stack import environ, sql_process, versions

__all__ = ["batch", "environ", "sql_process", "versions", "warm_driver"]
