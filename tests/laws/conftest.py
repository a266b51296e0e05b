"""The law tests of the batch layer use the shared Spark session."""

from tests.spark_fixtures import empty_tables, spark

__all__ = ["empty_tables", "spark"]
