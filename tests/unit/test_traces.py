"""Traces of requests and chunks, with the library's exporter in memory; and what an absent receiver costs."""

import json
import logging
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import CollectorRegistry
from starlette.testclient import TestClient

from batch_layer.run.ports import RunObserver
from batch_layer.run.run import run_once
from batch_layer.run.run_result import RunResult
from ingestion.contract.unavailable import Part, UnavailableError
from ingestion.http_collector import Collector, collector_app
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.http.traced import traced
from jobs.settings.state_home import PROJECT
from jobs.telemetry.json_log import JsonLines, in_every_line
from jobs.telemetry.span_queue import QUEUE_SPANS_MAX, CountedExporter
from jobs.telemetry.tracing import LINKS_MAX, REQUESTS_PER_SECOND_MAX, Tracing, parent_of
from jobs.wiring.observed_runs import ObservedRuns
from jobs.wiring.traced_chunks import TracedChunks
from jobs.wiring.tracing import TraceSettings
from speed_layer.chunk import Chunk, Span
from speed_layer.segments import Applied
from tests.batch_fakes import TOPIC
from tests.fake_warehouse import FakeRun
from tests.ingestion_fakes import KEY, NOW, FakeEventLog, event_json
from tests.receipt_makers import RECEIPTS

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SAMPLED, UNSAMPLED = f"00-{TRACE}-{PARENT}-01", f"00-{TRACE}-{PARENT}-00"
NEVER, ALWAYS = 0.999, 0.0


@pytest.fixture
def sent() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


def tracing_to(sent: Any, registry: CollectorRegistry, chance: float = ALWAYS) -> Tracing:
    return Tracing(sent, "test", registry, share=0.5, chance=lambda: chance, monotonic=lambda: 0.0)


def post(tracing: Tracing | None, log: FakeEventLog, *bodies: bytes, **headers: str) -> Any:
    collector = Collector(event_log=log, clock=lambda: NOW, pseudonym_key=KEY, receipts=RECEIPTS)
    client = TestClient(traced(collector_app(collector), tracing, "/v1/events"), raise_server_exceptions=False)
    content = b"\n".join(bodies)
    return client.post("/v1/events", content=content, headers={"content-type": "application/x-ndjson", **headers})


def spans_of(tracing: Tracing, sent: InMemorySpanExporter) -> Sequence[Any]:
    tracing.close()
    return sent.get_finished_spans()


def count(registry: CollectorRegistry, outcome: str) -> float | None:
    return registry.get_sample_value("trace_spans_total", {"outcome": outcome})


def test_a_request_continues_the_trace_of_its_sender_and_its_messages_carry_it_on(
    sent: InMemorySpanExporter, registry: CollectorRegistry
) -> None:
    tracing, log = tracing_to(sent, registry, NEVER), FakeEventLog()
    assert post(tracing, log, event_json(1), event_json(2), traceparent=SAMPLED).status_code == 202
    (span,) = spans_of(tracing, sent)
    assert (f"{span.context.trace_id:032x}", f"{span.parent.span_id:016x}") == (TRACE, PARENT)
    assert span.name == "POST /v1/events"
    assert dict(span.attributes) == {"http.response.status_code": 202}, "nothing of who sent it"
    assert span.resource.attributes["service.name"] == "viewledger-test"
    assert log.traceparents == [f"00-{TRACE}-{span.context.span_id:016x}-01"]
    assert count(registry, "sent") == 1


@pytest.mark.parametrize(
    ("header", "chance", "is_traced"),
    [
        (None, ALWAYS, True),
        (None, 0.5, False),
        (UNSAMPLED, ALWAYS, False),
        (SAMPLED, NEVER, True),
        ("nonsense", ALWAYS, True),
        ("nonsense", NEVER, False),
        (SAMPLED.replace(TRACE, "0" * 32), NEVER, False),
        (SAMPLED.upper(), NEVER, False),
        (SAMPLED + "\n", NEVER, False),
    ],
)
def test_the_senders_flag_decides_and_without_a_usable_one_chance(
    sent: InMemorySpanExporter, registry: CollectorRegistry, header: str | None, chance: float, is_traced: bool
) -> None:
    tracing = tracing_to(sent, registry, chance)
    assert (tracing.request("POST /v1/events", header) is not None) is is_traced
    tracing.close()


def test_senders_that_ask_for_a_trace_of_each_request_get_a_bounded_number(
    sent: InMemorySpanExporter, registry: CollectorRegistry
) -> None:
    tracing = tracing_to(sent, registry)
    asked = [tracing.request("POST /v1/events", SAMPLED) is not None for _ in range(REQUESTS_PER_SECOND_MAX * 60 + 1)]
    assert asked == [True] * (len(asked) - 1) + [False]
    tracing.close()


def test_a_trace_changes_neither_the_messages_nor_the_answer_nor_the_receipt(
    sent: InMemorySpanExporter, registry: CollectorRegistry
) -> None:
    tracing = tracing_to(sent, registry)
    bodies = (event_json(1), event_json(2, view_duration=-1), event_json(3))
    found = []
    for each in (None, tracing):
        log = FakeEventLog()
        found.append((post(each, log, *bodies, receipt="paths").json(), log.events))
    assert found[0] == found[1]
    assert len(found[0][1]) == 2
    assert len(spans_of(tracing, sent)) == 1


def test_a_request_that_the_log_does_not_take_is_a_failed_span_and_its_log_line_has_the_trace(
    sent: InMemorySpanExporter, registry: CollectorRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    lines = Lines()
    logging.getLogger("ingestion.http_collector").addHandler(lines)
    tracing, log = tracing_to(sent, registry), FakeEventLog()
    log.is_away = True
    try:
        assert post(tracing, log, event_json(), traceparent=SAMPLED).status_code == 503
        assert post(None, log, event_json()).status_code == 503
    finally:
        logging.getLogger("ingestion.http_collector").removeHandler(lines)
    (span,) = spans_of(tracing, sent)
    assert (span.status.is_ok, span.attributes["http.response.status_code"]) == (False, 503)
    assert [(each["event"], each.get("trace_id")) for each in lines.written] == [
        ("events not acknowledged", TRACE),
        ("events not acknowledged", None),
    ]


class Lines(logging.Handler):
    """Keeps lines as they are written."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[Mapping[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.written.append(json.loads(JsonLines().format(record)))


@dataclass(frozen=True)
class Record:
    """A message as the consumer gives it."""

    offset: int
    headers: Sequence[tuple[str, bytes | None]] | None
    timestamp: int = 1
    value: bytes = b""


def chunk_of(*headers: Sequence[tuple[str, bytes | None]] | None) -> Chunk:
    records = [Record(40 + number, each) for number, each in enumerate(headers)]
    return Chunk(Span(3, 40, 40 + len(records), 0, records))


def header(number: int) -> Sequence[tuple[str, bytes | None]]:
    return [("traceparent", f"00-{TRACE}-{number:016x}-01".encode())]


APPLIED = Applied(counted=2, duplicates=0, is_warm_up=False)


def test_a_chunk_continues_the_first_trace_and_is_linked_to_a_bounded_number_of_others(
    sent: InMemorySpanExporter, registry: CollectorRegistry
) -> None:
    tracing = tracing_to(sent, registry)
    observer = TracedChunks(registry, tracing)
    observer.polled()
    observer.chunk_applied(chunk_of((), *map(header, range(7, 7 + LINKS_MAX + 5))), APPLIED, 5)
    (span,) = spans_of(tracing, sent)
    assert (f"{span.context.trace_id:032x}", span.parent.span_id) == (TRACE, 7)
    assert [each.context.span_id for each in span.links] == list(range(8, 7 + LINKS_MAX))
    size = 1 + LINKS_MAX + 5
    expected = {"partition": 3, "position": 40, "next_position": 40 + size, "events": size, "counted": 2}
    assert dict(span.attributes) == expected
    assert 0 < span.start_time <= span.end_time


def test_a_chunk_without_sampled_messages_or_of_a_warm_up_has_no_span_and_foreign_headers_do_no_harm(
    sent: InMemorySpanExporter, registry: CollectorRegistry
) -> None:
    tracing = tracing_to(sent, registry)
    observer = TracedChunks(registry, tracing)
    foreign = [("traceparent", None), ("traceparent", b"\xff"), ("traceparent", UNSAMPLED.encode()), ("tenant", b"1")]
    observer.chunk_applied(chunk_of((), None, foreign), APPLIED, 5)
    observer.chunk_applied(chunk_of(header(1)), replace(APPLIED, is_warm_up=True), 5)
    assert spans_of(tracing, sent) == ()
    assert registry.get_sample_value("view_events_total", {"verdict": "counted"}) == 2
    assert registry.get_sample_value("speed_warm_up_events_total") == 1


class Away:
    """A receiver that refuses, or fails, until it is back."""

    def __init__(self) -> None:
        self.outcomes: Iterator[Any] = iter(())

    def export(self, spans: Sequence[object]) -> Any:
        outcome = next(self.outcomes)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


def test_a_receiver_that_is_away_costs_its_spans_and_one_line(
    registry: CollectorRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    away, failure, success = Away(), SpanExportResult.FAILURE, SpanExportResult.SUCCESS
    away.outcomes = iter((success, failure, failure, ValueError(), success, success, failure))
    exporter = CountedExporter(away, registry)
    with caplog.at_level(logging.INFO, "jobs.telemetry.span_queue"):
        for _ in range(7):
            assert all(exporter.has_room() for _ in range(3))
            exporter.export([object()] * 3)
    assert [each.message for each in caplog.records if each.levelno < logging.ERROR] == [
        "traces not sent",
        "traces sent again",
        "traces not sent",
    ]
    assert (count(registry, "sent"), count(registry, "dropped")) == (9, 12)


def test_a_full_queue_takes_no_more_until_some_spans_are_sent(registry: CollectorRegistry) -> None:
    exporter = CountedExporter(InMemorySpanExporter(), registry)
    assert all(exporter.has_room() for _ in range(QUEUE_SPANS_MAX))
    assert not exporter.has_room()
    assert count(registry, "dropped") == 1
    exporter.export([object()])
    assert exporter.has_room()
    assert not exporter.has_room()


@pytest.mark.parametrize("text", [SAMPLED, UNSAMPLED])
def test_a_header_is_read_as_its_parts(text: str) -> None:
    parent = parent_of(text)
    assert parent is not None
    assert (f"{parent.trace_id:032x}", f"{parent.span_id:016x}") == (TRACE, PARENT)
    assert parent.trace_flags.sampled is (text is SAMPLED)


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("VIEWLEDGER_TRACE_URL", "traces:4318", "like http://host:port or https://host:port"),
        ("VIEWLEDGER_TRACE_SHARE", "1.5", "a number from 0 to 1"),
    ],
)
def test_a_wrong_setting_is_one_sentence(name: str, value: str, allowed: str) -> None:
    with pytest.raises(CommandError) as refused:
        TraceSettings.from_environ({name: value})
    assert str(refused.value).startswith(name)
    assert str(refused.value).endswith(f"it must be {allowed}")


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("OTEL_BSP_SCHEDULE_DELAY", "-5", "schedule_delay_millis must be positive"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "100000", "must be less than or equal to max_queue_size"),
        ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "many", "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT must be a non-negative integer"),
    ],
)
def test_a_wrong_variable_of_the_library_is_one_sentence_too(
    name: str, value: str, allowed: str, registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    settings = TraceSettings.from_environ({"VIEWLEDGER_TRACE_URL": "http://127.0.0.1:1"})
    with pytest.raises(CommandError, match=allowed) as refused, settings.opened("test", registry):
        pass
    assert "a variable OTEL_… is wrong" in str(refused.value)
    assert "\n" not in str(refused.value)
    assert refused.value.code is ExitCode.BAD_INPUT


def test_while_traces_are_off_nothing_loads_their_library() -> None:
    text = (
        "import sys, jobs.cli\n"
        "jobs.cli.main(['run', 'collector', '--help'])\n"
        "import jobs.processes.collector, jobs.processes.speed, jobs.processes.batch\n"
        "from jobs.wiring.tracing import TraceSettings\n"
        "with TraceSettings.from_environ({}).opened('test', None) as tracing:\n"
        "    assert tracing is None\n"
        "assert not [each for each in sys.modules if each.startswith('opentelemetry.sdk.trace')]\n"
        "assert sys.modules['opentelemetry.sdk.metrics'] is None"
    )
    subprocess.run([sys.executable, "-P", "-c", text], check=True, cwd=PROJECT, env={"PYTHONPATH": str(PROJECT)})


def test_a_batch_run_is_a_trace_of_its_stages_that_names_its_version_and_its_reach(
    sent: InMemorySpanExporter, registry: CollectorRegistry
) -> None:
    tracing, fake = tracing_to(sent, registry, NEVER), FakeRun()
    fake.send(3, 2)
    fields: dict[str, object] = {}
    runs = ObservedRuns(tracing, fields)
    result = runs.do(lambda observer: run_once(fake.ports(observer=observer), TOPIC))
    assert fields == {"run_id": result.run_id}
    again = runs.do(lambda observer: run_once(fake.ports(observer=observer), TOPIC))
    assert fields == {"run_id": again.run_id}
    spans = spans_of(tracing, sent)
    first, second = (each for each in spans if each.name == "batch run")
    version = fake.versions.current()
    assert version is not None
    assert dict(first.attributes) == {
        "run_id": result.run_id,
        "version": 1,
        "offset_ends": version.offsets.ends,
        "state": "published",
    }
    assert dict(second.attributes) == {"run_id": again.run_id, "state": "nothing_new"}
    stages = [each for each in spans if each.parent is not None and each.parent.span_id == first.context.span_id]
    assert [each.name for each in stages] == list(result.stage_seconds)
    assert len(spans) == len(stages) + 2 + len(again.stage_seconds)
    assert {each.context.trace_id for each in stages} == {first.context.trace_id}


def test_a_batch_run_that_fails_is_a_failed_span(sent: InMemorySpanExporter, registry: CollectorRegistry) -> None:
    def run(observer: RunObserver) -> RunResult:
        observer.begun("20261130T000000-abcdef")
        raise UnavailableError(Part.HDFS, "HDFS is away")

    tracing = tracing_to(sent, registry)
    fields: dict[str, object] = {"run_id": "an earlier one"}
    with pytest.raises(UnavailableError):
        ObservedRuns(tracing, fields).do(run)
    (span,) = spans_of(tracing, sent)
    assert (span.status.is_ok, span.status.description) == (False, "UnavailableError")
    assert span.attributes["run_id"] == fields["run_id"] == "20261130T000000-abcdef"


def test_fields_of_every_line_may_change_within_the_block_and_end_with_it() -> None:
    def line() -> dict[str, Any]:
        return dict(json.loads(JsonLines().format(logging.makeLogRecord({"msg": "step"}))))

    with in_every_line() as fields:
        with in_every_line(trace_id=TRACE):
            fields["run_id"] = "a"
            assert (line()["run_id"], line()["trace_id"]) == ("a", TRACE)
        assert (line()["run_id"], "trace_id" in line()) == ("a", False)
        fields.clear()
        assert "run_id" not in line()
    assert "trace_id" not in line()
