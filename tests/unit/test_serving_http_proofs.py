"""The routes of single events: who sees them, how they stream, how they go on."""

import asyncio
import csv
import io
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from ingestion.contract.unavailable import UnavailableError
from serving_layer.access.access import Caller, Role
from serving_layer.money.proofs import CHUNK_ROWS, NDJSON
from serving_layer.problems.problems import ProblemError
from serving_layer.routes.http_proofs import CALLER_STREAMS_MAX, STREAMS_MAX, Proofs, proof_routes, streamed_events
from tests.proof_fakes import COUNT, EVENT, STATEMENT, UNSEEN, FakeProofs
from tests.serving_access import CALLERS, OTHER, OWNER, guard_of


@pytest.fixture
def proofs() -> FakeProofs:
    return FakeProofs()


@pytest.fixture
def client(proofs: FakeProofs) -> Iterator[TestClient]:
    with ThreadPoolExecutor(2) as executor:
        app = FastAPI(routes=proof_routes(guard_of(), Proofs(proofs, proofs, executor)))
        with TestClient(app, raise_server_exceptions=False) as opened:
            yield opened


def get(client: TestClient, path: str, caller: str = "auditor"):  # type: ignore[no-untyped-def]
    return client.get(path, headers=CALLERS[caller])


def test_a_statement_streams_its_events_as_ndjson(client: TestClient, proofs: FakeProofs) -> None:
    answer = get(client, f"/v1/statements/{STATEMENT}/events")
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    rows = [json.loads(line) for line in answer.text.splitlines()]
    assert [row["number"] for row in rows] == list(range(1, COUNT + 1))
    assert rows[1] == {
        "number": 2,
        "video_id": "video-a",
        "event_id": "00000002-0000-0000-0000-000000000000",
        "lines": [2, 9],
    }
    assert proofs.open_streams == 0


def test_a_statement_streams_its_events_as_csv(client: TestClient) -> None:
    answer = get(client, f"/v1/statements/{STATEMENT}/events?format=csv&after={COUNT - 1}")
    assert list(csv.reader(io.StringIO(answer.text))) == [
        ["number", "video_id", "event_id", "lines"],
        [str(COUNT), "video-a", f"{COUNT:08x}-0000-0000-0000-000000000000", f"{COUNT % 3} 9"],
    ]


def test_a_stream_that_broke_goes_on_where_it_ended(client: TestClient, proofs: FakeProofs) -> None:
    proofs.away_at = CHUNK_ROWS + 10
    path, got = f"/v1/statements/{STATEMENT}/events", list[int]()
    try:
        with client.stream("GET", path, headers=CALLERS["auditor"]) as answer:
            got += [json.loads(line)["number"] for line in answer.iter_lines()]
    except (httpx.HTTPError, UnavailableError):
        pass  # the connection broke, or what had been sent ended early
    proofs.away_at = None
    assert 0 < len(got) < COUNT
    rest = get(client, f"/v1/statements/{STATEMENT}/events?after={len(got)}").text.splitlines()
    assert [*got, *(json.loads(line)["number"] for line in rest)] == list(range(1, COUNT + 1))
    assert proofs.started_after == [0, len(got)]


@pytest.mark.parametrize("caller", CALLERS)
def test_only_those_who_may_see_a_statement_see_its_events(client: TestClient, caller: str) -> None:
    allowed = {"owner": 200, "finance": 200, "auditor": 200, "other creator": 404, "operator": 403, "reviewer": 403}
    assert get(client, f"/v1/statements/{STATEMENT}/events", caller).status_code == allowed.get(caller, 401)


def test_a_payee_does_not_see_a_statement_that_is_not_decided(client: TestClient, proofs: FakeProofs) -> None:
    proofs.state = "in_review"
    answers = {caller: get(client, f"/v1/statements/{STATEMENT}/events", caller).status_code for caller in CALLERS}
    assert (answers["owner"], answers["auditor"]) == (404, 200)


def test_an_event_is_answered_with_its_audit_path(client: TestClient) -> None:
    answer = get(client, f"/v1/events/{EVENT}/payment").json()
    assert (answer["status"], answer["video_id"], answer["version"]) == ("paid", "video-a", 3)
    assert answer["parts"][0]["audit_path"] == ["11" * 32]
    assert [part["payee_id"] for part in answer["parts"]] == [OWNER, OTHER]
    assert answer["copies"][0] == {
        "partition": 0,
        "offset": 17,
        "received_at": "2026-10-03T00:00:00Z",
        "verdict": "counted",
    }


def test_a_creator_sees_its_own_part_of_an_event_only(client: TestClient) -> None:
    assert [part["payee_id"] for part in get(client, f"/v1/events/{EVENT}/payment", "owner").json()["parts"]] == [OWNER]
    assert [
        part["payee_id"] for part in get(client, f"/v1/events/{EVENT}/payment", "other creator").json()["parts"]
    ] == [OTHER]
    assert get(client, f"/v1/events/{UNSEEN}/payment", "owner").status_code == 404
    assert get(client, f"/v1/events/{UNSEEN}/payment").json()["status"] == "unknown"


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        (f"/v1/statements/{STATEMENT}/events?after=-1", 422, "cursor_invalid"),
        (f"/v1/statements/{STATEMENT}/events?after=1e3", 422, "cursor_invalid"),
        (f"/v1/statements/{STATEMENT}/events?after={'9' * 40}", 422, "cursor_invalid"),
        (f"/v1/statements/{STATEMENT}/events?format=xml", 422, "format_unknown"),
        ("/v1/statements/ab/events", 404, "not_found"),
        (f"/v1/statements/{'cd' * 16}/events", 404, "not_found"),
        (f"/v1/events/{EVENT}%0A/payment", 422, "event_id_malformed"),
        ("/v1/events/x/payment", 422, "event_id_malformed"),
    ],
)
def test_bad_input_is_told_what_is_wrong(client: TestClient, path: str, status: int, code: str) -> None:
    answer = get(client, path)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_the_part_that_is_away_is_named_books_and_tables_apart(client: TestClient, proofs: FakeProofs) -> None:
    for path in (f"/v1/statements/{STATEMENT}/events", f"/v1/events/{EVENT}/payment"):
        proofs.books_away, proofs.away_at = True, None
        books = get(client, path).json()
        assert (books["code"], books["part"]) == ("statements_unavailable", "postgres")
        proofs.books_away, proofs.away_at = False, 1
        tables = get(client, path).json()
        assert (tables["code"], tables["part"]) == ("proofs_unavailable", "sql")
        assert "after" not in tables["detail"]


def test_a_store_that_is_away_is_a_problem_and_no_stump(client: TestClient, proofs: FakeProofs) -> None:
    proofs.away_at = 1
    for path in (f"/v1/statements/{STATEMENT}/events", f"/v1/events/{EVENT}/payment"):
        answer = get(client, path)
        assert (answer.status_code, answer.json()["code"]) == (503, "proofs_unavailable")
    proofs.away_at = None
    for _ in range(STREAMS_MAX + 1):
        assert get(client, f"/v1/statements/{STATEMENT}/events?after={COUNT}").status_code == 200, (
            "a stream is free again"
        )


@pytest.mark.parametrize("spelling", [EVENT.upper(), EVENT.replace("-", ""), EVENT.replace("-", "").upper()])
def test_an_event_is_found_by_every_spelling_that_it_may_be_sent_in(client: TestClient, spelling: str) -> None:
    assert get(client, f"/v1/events/{spelling}/payment").json() == get(client, f"/v1/events/{EVENT}/payment").json()


def test_one_caller_who_reads_slowly_leaves_streams_to_others(proofs: FakeProofs) -> None:
    async def busy() -> list[str]:
        found = []
        for name in ("ann", "ann", "ann", "ben", "ben", "eve"):
            caller = Caller(name, Role.AUDITOR, frozenset())
            try:
                await streamed_events(served, caller, statement_id=STATEMENT, after=0, form=NDJSON)
            except ProblemError as error:
                found.append(f"{name}: {error.problem.detail}")
        return found

    assert CALLER_STREAMS_MAX * 2 == STREAMS_MAX
    with ThreadPoolExecutor(1) as executor:
        served = Proofs(proofs, proofs, executor)
        assert asyncio.run(busy()) == [
            "ann: 2 streams of this caller are running; try again when one has ended",
            "eve: 4 streams are running; try again when one has ended",
        ]
