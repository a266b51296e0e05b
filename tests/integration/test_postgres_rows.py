"""Rows that a batch run reads from PostgreSQL: a server that is away, or an older schema, is one sentence."""

import pytest

from batch_layer.errors import RefusedError
from batch_layer.lake.postgres_rows import read_rows
from ingestion.contract.unavailable import Part, UnavailableError


def test_rows_are_read_with_the_values_of_a_query(postgres_url: str) -> None:
    assert read_rows(postgres_url, "SELECT n, %s FROM generate_series(1, 2) AS n", ("a",)) == [(1, "a"), (2, "a")]


@pytest.mark.parametrize("place", ["billing.none_such", "none_such.decisions"])
def test_a_schema_of_an_earlier_release_is_refused_with_the_remedy(postgres_url: str, place: str) -> None:
    with pytest.raises(RefusedError, match=r"schema is missing or older; run \./viewledger migrate"):
        read_rows(postgres_url, f"SELECT 1 FROM {place}")


def test_a_server_that_is_away_is_named() -> None:
    with pytest.raises(UnavailableError) as away:
        read_rows("postgresql://user:secret@127.0.0.1:1/views", "SELECT 1")
    assert away.value.part is Part.POSTGRES
    assert "secret" not in str(away.value)
