"""Importing a catalogue over HTTP: files as a form, once for a key, everything that is wrong in one answer."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from ingestion.contract.requests import RequestKey
from serving_layer.access.access import Role, Scope
from serving_layer.money.catalogue_import import BYTES_MAX, PROBLEMS_SHOWN, CatalogueFiles, ImportAnswer
from serving_layer.routes.http_catalogue import catalogue_routes
from tests.serving_access import OWNER, FakeKeys, bearer, guard_of
from tests.serving_fakes import FakeImports, InlineExecutor

PATH = "/v1/catalogue/versions"
FINANCE = bearer(Role.FINANCE)
GOOD = {"payees": b"payee_id,name\nann,Ann\n", "videos": b"video_id,payee_id\n-v,ann\n"}

ANSWER: dict[str, Any] = {
    "version": 1,
    "new": True,
    "state": "in_force",
    "payee_count": 1,
    "video_count": 1,
    "changes": {},
}


class Desk:
    def __init__(self) -> None:
        self.imports, self.keys = FakeImports(), FakeKeys()
        self.client = TestClient(FastAPI(routes=catalogue_routes(guard_of(self.keys), self.imports, InlineExecutor())))

    def send(self, files: Any = None, key: str = "k-1", by: Any = None) -> tuple[int, Any]:
        headers = {**(by or FINANCE), "Idempotency-Key": key}
        answer = self.client.post(PATH, files=GOOD if files is None else files, headers=headers)
        return answer.status_code, answer.json()

    def code(self, *arguments: Any, **changes: Any) -> tuple[int, str]:
        status, body = self.send(*arguments, **changes)
        return status, body["code"]


@pytest.fixture
def desk() -> Iterator[Desk]:
    made = Desk()
    with made.client:
        yield made


def test_files_become_a_version_once_however_they_are_packed(desk: Desk) -> None:
    first = desk.send()
    assert first == (201, ANSWER)
    assert [desk.send() for _ in range(3)] == [first] * 3, "each sending has another boundary in its form"
    assert desk.send(dict(reversed(GOOD.items()))) == first
    assert desk.imports.versions == [CatalogueFiles(GOOD["payees"], GOOD["videos"])]


def test_what_is_the_newest_version_already_is_said_to_be_no_new_one(desk: Desk) -> None:
    desk.send()
    assert desk.send(key="k-2") == (200, ANSWER | {"new": False})


def test_what_waits_for_a_second_person_is_answered_as_taken_and_no_more(desk: Desk) -> None:
    desk.imports.state = "proposed"
    assert desk.send() == (202, ANSWER | {"state": "proposed"})
    assert desk.send(key="k-2") == (200, ANSWER | {"state": "proposed", "new": False})


def test_how_much_may_be_gone_is_part_of_the_request(desk: Desk) -> None:
    headers = {**FINANCE, "Idempotency-Key": "k-1"}
    assert desk.client.post(f"{PATH}?allow_removals=3", files=GOOD, headers=headers).status_code == 201
    assert desk.imports.versions[0].removals_max == 3
    assert desk.code() == (422, "idempotency_key_reused")
    for wrong in ("-1", "many", "1e3", "", "9" * 5_000):
        answer = desk.client.post(f"{PATH}?allow_removals={wrong}", files=GOOD, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (422, "removals_invalid"), wrong
    answer = desk.client.post(f"{PATH}?allow_removal=3", files=GOOD, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (422, "parameter_unknown")


@pytest.mark.parametrize("changed", [{"payees": b"x"}, {"videos": b"x"}, {"owners": b""}])
def test_other_files_under_the_same_key_are_refused(desk: Desk, changed: dict[str, bytes]) -> None:
    desk.send()
    assert desk.code({**GOOD, **changed}) == (422, "idempotency_key_reused")
    assert len(desk.imports.versions) == 1


def test_all_that_is_wrong_is_named_up_to_a_bound_and_not_remembered(desk: Desk) -> None:
    desk.imports.problems = tuple(f"payees, line {line}, column name: no" for line in range(2, 4))
    status, body = desk.send()
    assert (status, body["code"], body["problems"]) == (422, "catalogue_invalid", list(desk.imports.problems))
    desk.imports.problems = tuple(f"payees, line {line}, column name: no" for line in range(500))
    _, body = desk.send()
    assert len(body["problems"]) == PROBLEMS_SHOWN
    assert "500 problems; the first 100 are listed" in body["detail"]
    desk.imports.problems = ()
    assert desk.send({**GOOD, "owners": b"mended"})[0] == 201


@pytest.mark.parametrize(
    "files",
    [{"payees": b""}, {"videos": b""}, {**GOOD, "rates": b""}, [("payees", b""), ("payees", b""), ("videos", b"")],
     {**GOOD, "owners": (None, b"no file, but a field")}],
)  # fmt: skip
def test_a_form_of_other_files_is_refused(desk: Desk, files: Any) -> None:
    status, body = desk.send(files)
    assert (status, body["code"]) == (400, "upload_malformed")
    assert "payees, videos and, if wanted, owners" in body["detail"]


@pytest.mark.parametrize(
    ("media_type", "content"),
    [("application/json", b"{}"), ("multipart/form-data", b"x"), ("multipart/form-data; boundary=b", b"--b\r\nx"),
     ("multipart/form-data; boundary=b", b""), ("", b"")],
)  # fmt: skip
def test_what_is_not_a_form_is_refused(desk: Desk, media_type: str, content: bytes) -> None:
    headers = {**FINANCE, "Idempotency-Key": "k", "Content-Type": media_type}
    answer = desk.client.post(PATH, content=content, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "upload_malformed")


def test_a_key_is_needed_and_the_body_is_bounded(desk: Desk) -> None:
    answer = desk.client.post(PATH, files=GOOD, headers=FINANCE)
    assert (answer.status_code, answer.json()["code"]) == (400, "idempotency_key_invalid")
    assert desk.code({**GOOD, "videos": b"x" * (BYTES_MAX + 4_096)}) == (413, "body_too_large")
    assert desk.send({**GOOD, "videos": b"x" * (BYTES_MAX - 100)})[0] == 201


def test_a_key_bound_to_a_payee_imports_nothing(desk: Desk) -> None:
    bound = desk.keys.add("0" * 16, Scope.CATALOGUE, payee_id=OWNER)
    assert desk.code(by=bound) == (404, "not_found")
    unbound = desk.keys.add("1" * 16, Scope.CATALOGUE)
    assert desk.send(by=unbound)[0] == 201


def test_a_store_that_is_away_is_named(desk: Desk) -> None:
    desk.imports.is_away = True
    status, body = desk.send()
    assert (status, body["code"], body["part"]) == (503, "catalogue_unavailable", "postgres")
    desk.imports.is_away = False
    assert desk.send()[0] == 201


def test_one_import_runs_at_a_time() -> None:
    begun, may_end = threading.Event(), threading.Event()

    class Slow(FakeImports):
        def import_files(self, files: CatalogueFiles, request: RequestKey) -> ImportAnswer:
            begun.set()
            assert may_end.wait(20)
            return super().import_files(files, request)

    with ThreadPoolExecutor(1) as executor, ThreadPoolExecutor(1) as sender:
        app = FastAPI(routes=catalogue_routes(guard_of(), Slow(), executor))
        with TestClient(app) as client:
            headers = {**FINANCE, "Idempotency-Key": "k"}
            first = sender.submit(client.post, PATH, files=GOOD, headers=headers)
            assert begun.wait(20)
            second = client.post(PATH, files=GOOD, headers=headers)
            assert (second.status_code, second.json()["code"], second.json()["part"]) == (503, "import_busy", "process")
            may_end.set()
            assert first.result().status_code == 201
            assert client.post(PATH, files=GOOD, headers=headers).json() == first.result().json()
