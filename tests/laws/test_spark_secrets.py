"""What Spark is told and nobody else on the machine may see."""

from pathlib import Path

from pyspark.sql import SparkSession

from tests.spark_fixtures import CONNECT_TOKEN, PASSWORD, PASSWORD_SETTING


def test_neither_password_nor_token_is_on_the_command_line_of_sparks_java_process(spark: SparkSession) -> None:
    gateway = spark.sparkContext._gateway
    arguments = Path(f"/proc/{gateway.proc.pid}/cmdline").read_bytes().decode()
    assert "spark.sql.catalog.ledger.warehouse=" in arguments, "it is the process that was told the settings"
    assert PASSWORD not in arguments
    assert CONNECT_TOKEN not in arguments
    assert spark.conf.get(PASSWORD_SETTING) == PASSWORD
