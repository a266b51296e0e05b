"""What the port of appeals promises, held against the fake and against the books in PostgreSQL."""

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Barrier
from typing import Any

import psycopg2
import pytest

from billing.books.postgres_books import PostgresBooks
from billing.books.postgres_holds import PostgresHolds
from billing.books.run_posting import post_bills
from billing.books.statements import statement_id_of
from billing.books.states import Move
from billing.postgres_session import connector
from ingestion.contract.requests import KeyReusedError, OpenAppealError, RequestKey
from ingestion.contract.unavailable import UnavailableError
from jobs.wiring.api_appeals import BooksAppeals
from tests.billing_fakes import OCTOBER, bill, line, run_of
from tests.billing_postgres import own_database
from tests.serving_fakes import FakeAppeals

ANN = statement_id_of(OCTOBER, "ann", 0)
THREADS = 8


@dataclass
class Scene:
    port: Any
    filed: Callable[[], list[tuple[str, str]]]
    """Every appeal there is: objection, who."""
    decide: Callable[[], None]
    """Decides every appeal that is open."""


@pytest.fixture(params=["fake", "postgres"])
def scene(request: pytest.FixtureRequest) -> Iterator[Scene]:
    if request.param == "fake":
        fake = FakeAppeals()
        yield Scene(fake, lambda: [(objection, who) for _, objection, who in fake.filed], fake.open.clear)
        return
    with own_database(request.getfixturevalue("postgres_url")) as url:
        connect = connector(url, "viewledger_billing")
        post_bills(run_of(), [bill("ann", line(views=10))], PostgresBooks(connect))
        holds = PostgresHolds(connect)

        def decide() -> None:
            for each in holds.appeals("ann"):
                holds.decide_appeal(each.appeal_id, Move("accepted", each.actor, "looked at"))

        yield Scene(BooksAppeals(url), lambda: [(each.objection, each.actor) for each in holds.appeals("ann")], decide)


def key(name: str = "k", what: str = "too few", caller: str = "ann@example.org") -> RequestKey:
    return RequestKey(caller, name, hashlib.sha256(what.encode()).hexdigest())


def test_a_request_has_one_effect_and_always_the_same_answer(scene: Scene) -> None:
    assert scene.port.answered(ANN, key()) is None
    first = scene.port.file(ANN, "too few", key())
    assert first.statement_id == ANN
    assert scene.port.file(ANN, "too few", key()) == scene.port.answered(ANN, key()) == first
    assert scene.filed() == [("too few", "ann@example.org")]


def test_another_request_under_the_key_is_refused_and_has_no_effect(scene: Scene) -> None:
    scene.port.file(ANN, "too few", key())
    with pytest.raises(KeyReusedError):
        scene.port.answered(ANN, key(what="other words"))
    with pytest.raises(KeyReusedError):
        scene.port.file(ANN, "other words", key(what="other words"))
    assert len(scene.filed()) == 1


def test_keys_of_two_callers_never_meet(scene: Scene) -> None:
    scene.port.file(ANN, "too few", key())
    scene.decide()
    scene.port.file(ANN, "other words", key(what="other words", caller="bob@example.org"))
    assert sorted(scene.filed()) == [("other words", "bob@example.org"), ("too few", "ann@example.org")]


def test_a_second_appeal_to_a_statement_waits_until_the_first_is_decided(scene: Scene) -> None:
    first = scene.port.file(ANN, "too few", key())
    for _ in range(2):
        with pytest.raises(OpenAppealError):
            scene.port.file(ANN, "too few", key("another"))
    assert scene.port.file(ANN, "too few", key()) == first
    scene.decide()
    assert scene.port.file(ANN, "too few", key("another")).appeal_id != first.appeal_id


def test_eight_at_once_under_one_key_file_one_appeal_and_get_one_answer(postgres_url: str) -> None:
    with own_database(postgres_url) as url:
        connect = connector(url, "viewledger_billing")
        post_bills(run_of(), [bill("ann", line(views=10))], PostgresBooks(connect))
        appeals, barrier = BooksAppeals(url), Barrier(THREADS)

        def file(_: int) -> Any:
            barrier.wait()
            return appeals.file(ANN, "too few", key())

        with ThreadPoolExecutor(THREADS) as threads:
            answers = list(threads.map(file, range(THREADS)))
        assert answers == [answers[0]] * THREADS
        assert len(PostgresHolds(connect).appeals("ann")) == 1


def test_the_apis_own_role_neither_files_nor_remembers(postgres_url: str) -> None:
    with own_database(postgres_url) as url:
        for write in (
            "INSERT INTO billing.appeals (appeal_id, payee_id, statement_id, objection) VALUES ('a', 'a', 's', 'o')",
            "INSERT INTO billing.answered_requests VALUES ('a', 'k', repeat('0', 64), '{}')",
        ):
            connection = connector(url, "viewledger_api")()
            with pytest.raises(psycopg2.errors.InsufficientPrivilege), connection, connection.cursor() as cursor:
                cursor.execute(write)
            connection.close()


def test_what_was_answered_cannot_be_changed_or_taken_away(postgres_url: str) -> None:
    with own_database(postgres_url) as url:
        for change in ("UPDATE billing.answered_requests SET answer = '{}'", "DELETE FROM billing.answered_requests"):
            connection = psycopg2.connect(url)
            with connection, connection.cursor() as cursor:
                cursor.execute(
                    "INSERT INTO billing.answered_requests VALUES ('a', 'k', repeat('0', 64), '{}') "
                    "ON CONFLICT DO NOTHING"
                )
            with pytest.raises(psycopg2.Error, match="append-only"), connection, connection.cursor() as cursor:
                cursor.execute(change)
            connection.close()


def test_books_that_do_not_answer_are_one_error() -> None:
    with pytest.raises(UnavailableError):
        BooksAppeals("postgresql://nobody@127.0.0.1:9/nothing").answered(ANN, key())
