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


class Scene:
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
def scene() -> Iterator[Scene]:
    made = Scene()
    with made.client:
        yield made


def test_files_become_a_version_once_however_they_are_packed(scene: Scene) -> None:
    first = scene.send()
    assert first == (201, ANSWER)
    assert [scene.send() for _ in range(3)] == [first] * 3, "each sending has another boundary in its form"
    assert scene.send(dict(reversed(GOOD.items()))) == first
    assert scene.imports.versions == [CatalogueFiles(GOOD["payees"], GOOD["videos"])]


def test_what_is_the_newest_version_already_is_said_to_be_no_new_one(scene: Scene) -> None:
    scene.send()
    assert scene.send(key="k-2") == (200, ANSWER | {"new": False})


def test_what_waits_for_a_second_person_is_answered_as_taken_and_no_more(scene: Scene) -> None:
    scene.imports.state = "proposed"
    assert scene.send() == (202, ANSWER | {"state": "proposed"})
    assert scene.send(key="k-2") == (200, ANSWER | {"state": "proposed", "new": False})


def test_how_much_may_be_gone_is_part_of_the_request(scene: Scene) -> None:
    headers = {**FINANCE, "Idempotency-Key": "k-1"}
    assert scene.client.post(f"{PATH}?allow_removals=3", files=GOOD, headers=headers).status_code == 201
    assert scene.imports.versions[0].removals_max == 3
    assert scene.code() == (422, "idempotency_key_reused")
    for wrong in ("-1", "many", "1e3", "", "9" * 5_000):
        answer = scene.client.post(f"{PATH}?allow_removals={wrong}", files=GOOD, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (422, "removals_invalid"), wrong
    answer = scene.client.post(f"{PATH}?allow_removal=3", files=GOOD, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (422, "parameter_unknown")


@pytest.mark.parametrize("changed", [{"payees": b"x"}, {"videos": b"x"}, {"owners": b""}])
def test_other_files_under_the_same_key_are_refused(scene: Scene, changed: dict[str, bytes]) -> None:
    scene.send()
    assert scene.code({**GOOD, **changed}) == (422, "idempotency_key_reused")
    assert len(scene.imports.versions) == 1


def test_all_that_is_wrong_is_named_up_to_a_bound_and_not_remembered(scene: Scene) -> None:
    scene.imports.problems = tuple(f"payees, line {line}, column name: no" for line in range(2, 4))
    status, body = scene.send()
    assert (status, body["code"], body["problems"]) == (422, "catalogue_invalid", list(scene.imports.problems))
    scene.imports.problems = tuple(f"payees, line {line}, column name: no" for line in range(500))
    _, body = scene.send()
    assert len(body["problems"]) == PROBLEMS_SHOWN
    assert "500 problems; the first 100 are listed" in body["detail"]
    scene.imports.problems = ()
    assert scene.send({**GOOD, "owners": b"fixed"})[0] == 201


@pytest.mark.parametrize(
    "files",
    [{"payees": b""}, {"videos": b""}, {**GOOD, "rates": b""}, [("payees", b""), ("payees", b""), ("videos", b"")],
     {**GOOD, "owners": (None, b"no file, but a field")}],
)  # fmt: skip
def test_a_form_of_other_files_is_refused(scene: Scene, files: Any) -> None:
    status, body = scene.send(files)
    assert (status, body["code"]) == (400, "upload_malformed")
    assert "payees, videos and, if wanted, owners" in body["detail"]


@pytest.mark.parametrize(
    ("media_type", "content"),
    [("application/json", b"{}"), ("multipart/form-data", b"x"), ("multipart/form-data; boundary=b", b"--b\r\nx"),
     ("multipart/form-data; boundary=b", b""), ("", b"")],
)  # fmt: skip
def test_what_is_not_a_form_is_refused(scene: Scene, media_type: str, content: bytes) -> None:
    headers = {**FINANCE, "Idempotency-Key": "k", "Content-Type": media_type}
    answer = scene.client.post(PATH, content=content, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "upload_malformed")


def test_a_key_is_needed_and_the_body_is_bounded(scene: Scene) -> None:
    answer = scene.client.post(PATH, files=GOOD, headers=FINANCE)
    assert (answer.status_code, answer.json()["code"]) == (400, "idempotency_key_invalid")
    assert scene.code({**GOOD, "videos": b"x" * (BYTES_MAX + 4_096)}) == (413, "body_too_large")
    assert scene.send({**GOOD, "videos": b"x" * (BYTES_MAX - 100)})[0] == 201


def test_a_key_bound_to_a_payee_imports_nothing(scene: Scene) -> None:
    bound = scene.keys.add("0" * 16, Scope.CATALOGUE, payee_id=OWNER)
    assert scene.code(by=bound) == (404, "not_found")
    unbound = scene.keys.add("1" * 16, Scope.CATALOGUE)
    assert scene.send(by=unbound)[0] == 201


def test_a_store_that_is_away_is_named(scene: Scene) -> None:
    scene.imports.is_away = True
    status, body = scene.send()
    assert (status, body["code"], body["part"]) == (503, "catalogue_unavailable", "postgres")
    scene.imports.is_away = False
    assert scene.send()[0] == 201


def test_one_import_runs_at_a_time() -> None:
    begun, may_end = threading.Event(), threading.Event()

    class Slow(FakeImports):
        def import_files(self, files: CatalogueFiles, request: RequestKey) -> ImportAnswer:
            begun.set()
            assert may_end.wait(60)
            return super().import_files(files, request)

    with ThreadPoolExecutor(1) as executor, ThreadPoolExecutor(1) as sender:
        app = FastAPI(routes=catalogue_routes(guard_of(), Slow(), executor))
        with TestClient(app) as client:
            headers = {**FINANCE, "Idempotency-Key": "k"}
            first = sender.submit(client.post, PATH, files=GOOD, headers=headers)
            assert begun.wait(60)
            second = client.post(PATH, files=GOOD, headers=headers)
            assert (second.status_code, second.json()["code"], second.json()["part"]) == (503, "import_busy", "process")
            may_end.set()
            assert first.result().status_code == 201
            assert client.post(PATH, files=GOOD, headers=headers).json() == first.result().json()
