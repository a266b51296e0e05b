"""The collector as a process, on a broker of its own that is taken away and comes back."""

import gzip
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from ingestion.jwt_plays import play_keys
from ingestion.pseudonym import pseudonym_of, session_pseudonym_of
from jobs.exit_codes import ExitCode
from jobs.local_stack.ports import free_ports
from jobs.local_stack.stack import LocalStack
from jobs.settings.state_home import PROJECT
from tests.ingestion_fakes import event_fields, token_of
from tests.kafka_topic import kafka_alone, stored
from tests.server_process import ServerProcess, server_process

PAGE = "https://watch.example"


@pytest.fixture(scope="module")
def broker() -> Iterator[LocalStack]:
    """A stack with Kafka alone, which these tests may hurt."""
    with kafka_alone() as stack:
        yield stack


@pytest.fixture(scope="module")
def collector(broker: LocalStack) -> Iterator[ServerProcess]:
    allowed = {"VIEWLEDGER_ACKNOWLEDGEMENT_MS_MAX": "1500", "VIEWLEDGER_COLLECTOR_ORIGINS": PAGE}
    environ = {**broker.environment, **allowed}
    with server_process("jobs.processes.collector", "VIEWLEDGER_COLLECTOR_PORT", environ) as running:
        yield running


def fresh(first: int, count: int, **changes: Any) -> list[dict[str, Any]]:
    now = datetime.now(UTC).isoformat()
    return [event_fields(n, timestamp=now, video_id=f"-v{n % 50}", **changes) for n in range(first, first + count)]


def test_a_play_of_the_stacks_own_key_is_written_as_it_claims_and_one_play_is_one_id(
    broker: LocalStack, collector: ServerProcess
) -> None:
    key = bytes.fromhex(broker.environment["VIEWLEDGER_PSEUDONYM_KEY"])
    signing = play_keys(Path(broker.environment["VIEWLEDGER_PLAY_KEYS_FILE"]).read_bytes())[0]
    began = int(time.time()) - 60
    claims = {"begun_at_seconds": began, "start_until_seconds": began + 5, "video_id": "-played"}
    claims |= {"user_id": pseudonym_of("carol", key), "session_id": session_pseudonym_of("s9", key)}
    token = token_of(signing, **claims)
    lies = {"video_id": "mine", "timestamp": "1970-01-01T00:00:00Z", "user_id": "mallory"}
    ads = [{"ad_id": str(number), "watched_seconds": 5} for number in range(50)]
    sent = [
        {"play": token, "view_duration": 30},
        {"play": token, "view_duration": 40, "ad_views": ads, **lies},
        {"play": token[:-2] + "AA", "view_duration": 30},
    ]
    answer = collector.client.post("/v1/events", json=sent)
    assert [each["status"] for each in answer.json()["results"]] == ["accepted", "accepted", "rejected"]
    assert answer.json()["results"][2]["reasons"][0]["code"] == "play_signature_wrong"
    found = [each for each in stored(broker.environment) if each["video_id"] == "-played"]
    assert [each["user_id"] for each in found] == [pseudonym_of("carol", key)] * 2
    assert {each["timestamp"] for each in found} == {f"{datetime.fromtimestamp(began, UTC):%Y-%m-%dT%H:%M:%SZ}"}
    assert len(ids_of(found)) == 1
    assert [len(each.get("ad_views", ())) for each in found] == [0, 2]
    assert token not in json.dumps(found)


def ids_of(events: list[dict[str, Any]]) -> set[str]:
    return {event["event_id"] for event in events}


def test_what_was_accepted_is_in_the_topic_under_a_pseudonym(broker: LocalStack, collector: ServerProcess) -> None:
    events = fresh(1_000_000, 500)
    answer = collector.client.post("/v1/events", json=events)
    assert answer.status_code == 202, answer.text
    assert answer.json()["accepted"] == 500
    found = [each for each in stored(broker.environment) if each["event_id"] in ids_of(events)]
    assert len(found) == 500
    key = bytes.fromhex(broker.environment["VIEWLEDGER_PSEUDONYM_KEY"])
    assert {each["user_id"] for each in found} == {pseudonym_of("alice", key)}
    assert {each["client_network"] for each in found} == {"127.0.0.0/24"}


def test_the_forms_of_browsers_and_servers_are_all_the_same_events(
    broker: LocalStack, collector: ServerProcess
) -> None:
    beacon, zipped, single, many, binary = (fresh(1_100_000 + 10 * number, 2) for number in range(5))
    attributes = {"specversion": "1.0", "source": "/servers/1", "type": "viewledger.view"}
    envelopes = [{**attributes, "id": each["event_id"], "data": each} for each in (*single, *many)]
    as_headers = {f"ce-{name}": value for name, value in (attributes | {"id": binary[0]["event_id"]}).items()}
    requests: list[tuple[Any, dict[str, str], int]] = [
        (beacon, {"content-type": "text/plain;charset=UTF-8", "origin": PAGE}, 2),
        (zipped, {"content-encoding": "gzip"}, 2),
        (envelopes[0], {"content-type": "application/cloudevents+json"}, 1),
        (envelopes[2:], {"content-type": "application/cloudevents-batch+json; charset=utf-8"}, 2),
        (binary[0], as_headers, 1),
    ]
    for body, headers, count in requests:
        text = json.dumps(body).encode()
        content = gzip.compress(text) if "content-encoding" in headers else text
        answer = collector.client.post("/v1/events", content=content, headers=headers)
        assert (answer.status_code, answer.json()["accepted"]) == (202, count), answer.text
        assert answer.headers.get("access-control-allow-origin") == headers.get("origin")
    expected = ids_of([*beacon, *zipped, single[0], *many, binary[0]])
    assert expected <= ids_of(stored(broker.environment))


def test_a_page_reads_why_it_is_refused(collector: ServerProcess) -> None:
    asked = {"origin": PAGE, "access-control-request-method": "POST", "access-control-request-headers": "content-type"}
    assert collector.client.options("/v1/events", headers=asked).status_code == 204
    bomb = gzip.compress(b" " * 100_000_000)
    for content, headers, status, code in (
        (b"x", {}, 400, "body_malformed"),
        (bomb, {"content-encoding": "gzip"}, 413, "body_too_large"),
        (b"{}", {"content-encoding": "br"}, 415, "encoding_unsupported"),
    ):
        answer = collector.client.post("/v1/events", content=content, headers={"origin": PAGE, **headers})
        assert (answer.status_code, answer.json()["code"]) == (status, code)
        assert answer.headers["access-control-allow-origin"] == PAGE


def test_many_clients_at_once_lose_and_double_nothing(broker: LocalStack, collector: ServerProcess) -> None:
    def send(number: int) -> int:
        return collector.client.post("/v1/events", json=fresh(2_000_000 + 20 * number, 20)).json()["accepted"]

    with ThreadPoolExecutor(16) as clients:
        assert sum(clients.map(send, range(200))) == 4_000
    expected = ids_of(fresh(2_000_000, 4_000))
    times = Counter(each["event_id"] for each in stored(broker.environment) if each["event_id"] in expected)
    assert set(times) == expected
    assert set(times.values()) == {1}


def test_a_broker_that_does_not_acknowledge_is_a_503_and_the_retry_is_counted_once(
    broker: LocalStack, collector: ServerProcess
) -> None:
    events = fresh(3_000_000, 100)
    pid = broker.pid("kafka")
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        started = time.monotonic()
        refused = collector.client.post("/v1/events", json=events)
        assert time.monotonic() - started < 10
        assert refused.status_code == 503
        assert refused.json()["code"] == "log_unavailable"
        assert int(refused.headers["retry-after"]) >= 1
        assert collector.client.get("/healthz").status_code == 200
        assert collector.client.get("/readyz").status_code == 503
    finally:
        os.kill(pid, signal.SIGCONT)
    sent_until_accepted(collector.client, events)
    found = [each for each in stored(broker.environment) if each["event_id"] in ids_of(events)]
    assert ids_of(found) == ids_of(events)
    # The first attempt may have reached the log after all; its events are the same, so they are duplicates by id.
    stripped = {json.dumps({**each, "received_at": None}, sort_keys=True) for each in found}
    assert len(stripped) == len(events)


def test_a_broker_that_died_and_came_back_is_found_again(broker: LocalStack, collector: ServerProcess) -> None:
    events = fresh(4_000_000, 100)
    dead = broker.kill("kafka")
    sent_until_accepted(collector.client, events)
    broker.wait_ready("kafka", not_pid=dead)
    assert ids_of(events) <= ids_of(stored(broker.environment))


def sent_until_accepted(client: httpx.Client, events: list[dict[str, Any]]) -> None:
    """What a client does: the same events again after each 503."""
    deadline = time.monotonic() + 60
    while (answer := client.post("/v1/events", json=events)).status_code != 202:
        assert answer.status_code == 503, answer.text
        assert time.monotonic() < deadline, "the collector did not find the broker again"
        time.sleep(0.1)
    assert answer.json()["accepted"] == len(events)


def test_sigterm_finishes_the_requests_under_way(broker: LocalStack) -> None:
    environ = {**broker.environment, "VIEWLEDGER_ACKNOWLEDGEMENT_MS_MAX": "8000"}
    port = free_ports().collector_metrics
    with server_process("jobs.processes.collector", "VIEWLEDGER_COLLECTOR_PORT", environ, metrics_port=port) as running:
        sent_until_accepted(running.client, fresh(4_900_000, 1))  # the broker came back a moment ago
        pid = broker.pid("kafka")
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)  # so that the request is surely under way when the signal comes
        answers: list[httpx.Response] = []
        client = threading.Thread(
            target=lambda: answers.append(running.client.post("/v1/events", json=fresh(5_000_000, 10)))
        )
        try:
            client.start()
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30, trust_env=False) as watcher:
                while "view_events_in_flight 10.0" not in watcher.get("/metrics").text:
                    assert client.is_alive(), [(answer.status_code, answer.text) for answer in answers]
            running.process.send_signal(signal.SIGTERM)
        finally:
            os.kill(pid, signal.SIGCONT)
        client.join(30)
        assert [answer.status_code for answer in answers] == [202]
        assert running.process.wait(20) == ExitCode.OK


@pytest.mark.parametrize(
    ("changes", "code", "sentence"),
    [
        ({}, ExitCode.UNAVAILABLE, "no Kafka broker answers at 127.0.0.1:9"),
        ({"VIEWLEDGER_PSEUDONYM_KEY": "abcd"}, ExitCode.BAD_INPUT, "VIEWLEDGER_PSEUDONYM_KEY has a wrong value"),
        (
            {"VIEWLEDGER_TRUSTED_PROXIES": "x"},
            ExitCode.BAD_INPUT,
            "VIEWLEDGER_TRUSTED_PROXIES is 'x'; it must be an IP",
        ),
        (
            {"VIEWLEDGER_COLLECTOR_ORIGINS": "watch.example"},
            ExitCode.BAD_INPUT,
            "VIEWLEDGER_COLLECTOR_ORIGINS is 'watch.example'; it must be like https://www.example.com",
        ),
    ],
)
def test_a_collector_that_cannot_start_says_why_in_one_sentence(
    broker: LocalStack, changes: dict[str, str], code: ExitCode, sentence: str
) -> None:
    away = {"VIEWLEDGER_KAFKA_BOOTSTRAP": "127.0.0.1:9", "VIEWLEDGER_ACKNOWLEDGEMENT_MS_MAX": "500"}
    ports = {"VIEWLEDGER_COLLECTOR_PORT": str(free_ports().collector)}
    ended = command({**broker.environment, **away, **ports, **changes}, "-m", "jobs.cli", "run", "collector")
    assert (ended.returncode, sentence in ended.stderr) == (code, True), ended.stderr
    assert "Traceback" not in ended.stderr + ended.stdout


def command(environ: Mapping[str, str], *words: str, text: bytes = b"") -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, *words],
        env={**os.environ, **environ},
        cwd=PROJECT,
        input=text.decode(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def ingest(environ: Mapping[str, str], *words: str, text: bytes = b"") -> "subprocess.CompletedProcess[str]":
    return command(environ, "-m", "jobs.cli", "ingest", *words, text=text)


def test_a_file_is_ingested_with_its_rejected_lines_listed(broker: LocalStack, tmp_path: Path) -> None:
    good = fresh(6_000_000, 1_500)
    lines = [json.dumps(event) for event in good]
    lines[7:7] = ["{oops", "", json.dumps(good[0] | {"video_id": "#NAME?"})]
    (file := tmp_path / "events.jsonl").write_text("\n".join(lines))
    ended = ingest(broker.environment, str(file), "--json", "--rejects", str(tmp_path / "rejects"))
    assert ended.returncode == ExitCode.BAD_INPUT, ended.stderr
    assert json.loads(ended.stdout) == {"accepted": 1_500, "rejected": 2, "done_through_line": 1_503, "failure": None}
    rejects = [json.loads(line) for line in (tmp_path / "rejects").read_text().splitlines()]
    assert [(each["line"], each["reasons"][0]["code"]) for each in rejects] == [
        (8, "json_malformed"), (10, "video_id_invalid"),
    ]  # fmt: skip
    assert ids_of(good) <= ids_of(stored(broker.environment))


def test_standard_input_is_ingested_from_a_line_on(broker: LocalStack) -> None:
    events = fresh(7_000_000, 10)
    text = "\n".join(json.dumps(event) for event in events).encode()
    ended = ingest(broker.environment, "-", "--from-line", "6", text=text)
    assert (ended.returncode, ended.stdout) == (
        ExitCode.OK,
        "5 accepted, 0 rejected; everything up to line 10 is done\n",
    )
    assert ids_of(stored(broker.environment)) & ids_of(events) == ids_of(events[5:])


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (("/no/such/file",), ExitCode.BAD_INPUT, "/no/such/file cannot be read (No such file or directory)"),
        (("/",), ExitCode.BAD_INPUT, "/ cannot be read (is a folder, a pipe or a device; give a file)"),
        (("-", "--from-line", "0"), ExitCode.BAD_INPUT, "--from-line is out of range: 0; give a whole number from 1"),
        (("-", "--rejects", "/no/such/folder/r"), ExitCode.BAD_INPUT, "--rejects /no/such/folder/r: cannot be written"),
    ],
)
def test_an_unusable_argument_of_ingest_is_named(
    broker: LocalStack, words: tuple[str, ...], code: ExitCode, sentence: str
) -> None:
    ended = ingest(broker.environment, *words)
    assert ended.returncode == code
    assert sentence in ended.stderr
    assert "Traceback" not in ended.stderr


def test_ingest_without_a_broker_is_unavailable(broker: LocalStack, tmp_path: Path) -> None:
    (file := tmp_path / "e.jsonl").write_text("{}")
    ended = ingest({**broker.environment, "VIEWLEDGER_KAFKA_BOOTSTRAP": "127.0.0.1:9"}, str(file))
    assert ended.returncode == ExitCode.UNAVAILABLE
    assert "no Kafka broker answers at 127.0.0.1:9" in ended.stderr
