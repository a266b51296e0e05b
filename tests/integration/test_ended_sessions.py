"""Every process sees that a person signed out; it is permanent, and the API's login cannot take it back."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta

import psycopg2
import pytest

from ingestion.contract.unavailable import UnavailableError
from serving_layer.portal.postgres_ended_sessions import PostgresEndedSessions
from tests.billing_postgres import own_database
from tests.postgres_people import person

DIGEST, OTHER = "a" * 64, "b" * 64


@pytest.fixture(scope="module")
def api_url(postgres_url: str) -> Iterator[str]:
    """A database with a login that is the API's and nothing more."""
    with own_database(postgres_url) as own, person(own, "viewledger_api") as login:
        yield login


def refused(url: str, statement: str) -> str:
    with closing(psycopg2.connect(url)) as connection:
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute(statement)
        except psycopg2.Error as error:
            return str(error)
    return ""


def test_an_ended_session_is_ended_for_every_process_and_once_more_changes_nothing(api_url: str) -> None:
    here, elsewhere = PostgresEndedSessions(api_url), PostgresEndedSessions(api_url)
    with closing(here), closing(elsewhere):
        assert not elsewhere.was_ended(DIGEST)
        for process in (here, elsewhere):
            process.end(DIGEST, datetime.now(UTC) + timedelta(hours=12))
        assert here.was_ended(DIGEST)
        assert elsewhere.was_ended(DIGEST)
        assert not here.was_ended(OTHER)


def test_the_apis_login_cannot_bring_an_ended_session_back(api_url: str) -> None:
    with closing(PostgresEndedSessions(api_url)) as process:
        process.end(DIGEST, datetime.now(UTC) + timedelta(hours=12))
        assert "an ended session cannot be changed" in refused(api_url, "DELETE FROM access.ended_sessions")
        assert refused(api_url, "UPDATE access.ended_sessions SET ends_at = now() - interval '2 days'")
        assert "permission denied" in refused(api_url, "TRUNCATE access.ended_sessions")
        assert process.was_ended(DIGEST)


def test_what_is_over_by_itself_is_forgotten(api_url: str) -> None:
    with closing(PostgresEndedSessions(api_url)) as process:
        process.end(OTHER, datetime.now(UTC) - timedelta(days=3))
        process.end("c" * 64, datetime.now(UTC) + timedelta(hours=1))
        assert not process.was_ended(OTHER)


def test_a_store_that_does_not_answer_is_said() -> None:
    with (
        closing(PostgresEndedSessions("postgresql://x:x@127.0.0.1:1/x")) as process,
        pytest.raises(UnavailableError),
    ):
        process.was_ended(DIGEST)
