"""Appeals over HTTP: one per key, despite repetitions; errors are named."""

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from serving_layer.access.access import Role, Scope
from serving_layer.request.cursors import Cursors
from serving_layer.routes.http_appeals import appeal_routes
from serving_layer.routes.http_statements import ServedStatements
from tests.serving_access import CALLERS, OTHER, OWNER, FakeKeys, bearer, guard_of
from tests.serving_fakes import FakeAppeals, FakeStatements, InlineExecutor, statement, statement_id

STATES = ("in_review", "finalised", "paid", "held", "superseded")
FINALISED = statement_id(OWNER, 1)


class Scene:
    """A running API with the statements of OWNER in every state, and one of OTHER."""

    def __init__(self) -> None:
        self.appeals, self.keys = FakeAppeals(), FakeKeys()
        statements = [statement(OWNER, number, state) for number, state in enumerate(STATES)]
        self.books = FakeStatements(*statements, statement(OTHER, 0, "finalised"))
        books = ServedStatements(self.books, Cursors(b"k" * 32), InlineExecutor())
        app = FastAPI(routes=appeal_routes(guard_of(self.keys), books, self.appeals, InlineExecutor()))
        self.client = TestClient(app)

    def appeal(
        self, key: str | None = "k-1", objection: Any = "too few", *, of: str = FINALISED, by: Any = None
    ) -> tuple[int, Any]:
        headers = {**(CALLERS["owner"] if by is None else by), **({} if key is None else {"Idempotency-Key": key})}
        answer = self.client.post(f"/v1/statements/{of}/appeals", json={"objection": objection}, headers=headers)
        assert answer.headers["cache-control"] == "no-store"
        body = answer.json()
        return answer.status_code, body if answer.status_code == 201 else body["code"]


@pytest.fixture
def scene() -> Iterator[Scene]:
    made = Scene()
    with made.client:
        yield made


def test_the_same_request_under_the_same_key_is_one_appeal_and_one_answer(scene: Scene) -> None:
    first = scene.appeal()
    assert (first[0], first[1]["statement_id"]) == (201, FINALISED)
    assert [scene.appeal() for _ in range(3)] == [first] * 3
    assert [each[:2] for each in scene.appeals.filed] == [(FINALISED, "too few")]


def test_a_second_appeal_to_a_statement_waits_until_the_first_is_decided(scene: Scene) -> None:
    first = scene.appeal()
    assert scene.appeal("k-2") == (409, "appeal_open")
    assert scene.appeal() == first, "the request that filed it is answered as before"
    scene.appeals.open.clear()
    assert scene.appeal("k-2")[1]["appeal_id"] != first[1]["appeal_id"]


def test_another_request_under_the_same_key_is_refused(scene: Scene) -> None:
    scene.appeal()
    assert scene.appeal(objection="something else") == (422, "idempotency_key_reused")
    assert scene.appeal(of=statement_id(OWNER, 2)) == (422, "idempotency_key_reused")
    assert len(scene.appeals.filed) == 1


def test_keys_of_two_callers_never_meet(scene: Scene) -> None:
    machine = scene.keys.add("0" * 16, Scope.STATEMENTS, Scope.APPEALS, payee_id=OWNER)
    assert scene.appeal()[0] == 201
    scene.appeals.open.clear()
    assert scene.appeal(objection="something else", by=machine)[0] == 201
    assert [who for _, _, who in scene.appeals.filed] == ["urn:viewledger:local creator", f"key:{'0' * 16}"]


def test_an_answer_stays_the_same_after_the_statement_was_replaced(scene: Scene) -> None:
    first = scene.appeal()
    scene.books.statements = tuple(statement(OWNER, number, "superseded") for number in range(len(STATES)))
    assert scene.appeal() == first
    assert scene.appeal("k-2") == (409, "statement_not_appealable")


@pytest.mark.parametrize("key", [None, "", "a b", "ä", "x" * 129, "\t"])
def test_a_key_is_needed_and_short(scene: Scene, key: str | None) -> None:
    headers = {**CALLERS["owner"], **({} if key is None else {"Idempotency-Key": key.encode()})}
    path = f"/v1/statements/{FINALISED}/appeals"
    answer = scene.client.post(path, json={"objection": "x"}, headers=headers)  # type: ignore[arg-type]
    assert (answer.status_code, answer.json()["code"]) == (400, "idempotency_key_invalid")
    assert scene.appeals.filed == []


@pytest.mark.parametrize("number", range(len(STATES)))
def test_only_statements_that_are_decided_can_be_objected_to(scene: Scene, number: int) -> None:
    got = {"in_review": (404, "not_found"), "superseded": (409, "statement_not_appealable")}
    status, body = scene.appeal(of=statement_id(OWNER, number))
    assert (status, body if status != 201 else None) == got.get(STATES[number], (201, None))


@pytest.mark.parametrize("objection", ["", "   ", "x" * 2_001, 5, None, "a\0b"])
def test_an_objection_has_words_and_an_end(scene: Scene, objection: Any) -> None:
    assert scene.appeal(objection=objection) == (422, "appeal_invalid")


@pytest.mark.parametrize(
    ("body", "code"),
    [(b"{", "body_malformed"), (b'{"text": "x"}', "appeal_invalid"), (b"[]", "appeal_invalid"),
     (b'{"objection": "x", "more": 1}', "appeal_invalid"), (b'"' + b"x" * 20_000 + b'"', "body_too_large")],
)  # fmt: skip
def test_a_body_of_another_form_is_refused(scene: Scene, body: bytes, code: str) -> None:
    headers = {**CALLERS["owner"], "Idempotency-Key": "k"}
    answer = scene.client.post(f"/v1/statements/{FINALISED}/appeals", content=body, headers=headers)
    assert answer.json()["code"] == code


def test_what_is_anothers_or_nobodys_is_not_there(scene: Scene) -> None:
    assert scene.appeal(of=statement_id(OTHER, 0)) == (404, "not_found")
    assert scene.appeal(of="ab" * 16) == (404, "not_found")
    assert scene.appeal(of="x") == (404, "not_found")
    assert scene.appeal(by=bearer(Role.FINANCE)) == (403, "scope_missing")
    reading = scene.keys.add("1" * 16, Scope.STATEMENTS, payee_id=OWNER)
    assert scene.appeal(by=reading) == (403, "scope_missing")


def test_books_that_are_away_are_named_and_nothing_is_filed(scene: Scene) -> None:
    scene.appeals.is_away = True
    assert scene.appeal() == (503, "statements_unavailable")
    scene.appeals.is_away = False
    assert scene.appeal()[0] == 201
