"""An error of Spark reaches an analyst as one plain sentence, while the server stops, too."""

from collections.abc import Mapping
from typing import Any

import pytest
from pyspark.errors.exceptions.connect import SparkConnectGrpcException

from batch_layer.lake.spark_messages import one_sentence
from batch_layer.published.published_names import QueryError
from batch_layer.published.spark_connect import UNANSWERED, PublishedTables
from ingestion.contract.unavailable import UnavailableError


class FailingTables(PublishedTables):
    """Tables on a server that answers every statement with the same words."""

    def __init__(self, message: str) -> None:
        super().__init__("sc://sql.example:15002")
        self._message = message

    def _asked(self, sql: str, values: Mapping[str, object] | None) -> Any:
        raise SparkConnectGrpcException(self._message)


@pytest.mark.parametrize(
    "message",
    [
        "(org.apache.spark.SparkException) Job 7 cancelled because SparkContext was shut down",
        "(java.lang.IllegalStateException) Cannot call methods on a stopped SparkContext.\nThis one",
        "(java.lang.IllegalStateException) SparkContext has been shutdown",
        "(java.lang.InterruptedException) ",
        "(org.apache.iceberg.exceptions.RESTException) Error occurred while processing GET request",
    ],
)
def test_a_server_that_stops_has_gone_away(message: str) -> None:
    with pytest.raises(UnavailableError) as caught:
        FailingTables(message).query("SELECT 1")
    assert str(caught.value) == (
        "the SQL server at sc://sql.example:15002 went away; try again when ./viewledger run sql is up"
    )


@pytest.mark.parametrize(
    ("message", "sentence"),
    [
        ("(java.lang.IllegalArgumentException) a bound is negative\n\tat org.apache", "a bound is negative"),
        ("(org.apache.spark.SparkException) [A_CODE.B] No. SQLSTATE: 42000", "No"),
        ("[A_CODE] Of (a.b) nothing. SQLSTATE: 42000; line 1", "Of (a.b) nothing; line 1"),
        ("(a set) is not closed", "(a set) is not closed"),
    ],
)
def test_a_sentence_of_spark_has_neither_its_code_nor_a_class_of_java(message: str, sentence: str) -> None:
    assert one_sentence(message) == sentence


def test_an_error_without_words_is_not_an_empty_sentence() -> None:
    with pytest.raises(QueryError, match=UNANSWERED):
        FailingTables("(java.lang.NullPointerException) ").query("SELECT 1")
