"""The example of a server that reports views, on the collector's own application."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import httpx
import pytest

from clients.python.send_events import BATCH_EVENTS_MAX, NotDeliveredError, Sender, main
from ingestion.contract.decoding import NEWEST, decode_view_event
from ingestion.contract.event import ViewEvent
from ingestion.contract.traffic import invalid_reason
from ingestion.http_collector import Collector, collector_app
from ingestion.receipts import read_receipt
from tests.http_in_one_thread import AppClient, client_of
from tests.ingestion_fakes import KEY, NOW, FakeEventLog, event_fields
from tests.receipt_makers import READ_SIGNED, RECEIPTS


@pytest.fixture
def log() -> FakeEventLog:
    return FakeEventLog()


@pytest.fixture
def client(log: FakeEventLog) -> Iterator[AppClient]:
    app = collector_app(Collector(event_log=log, clock=lambda: NOW, pseudonym_key=KEY, receipts=RECEIPTS))
    with client_of(app, raises=False) as client:  # type: ignore[arg-type]
        yield client


def sender(client: httpx.Client, waits: list[float] | None = None, **changes: Any) -> Sender:
    kept = waits if waits is not None else []
    return Sender("http://testserver/v1/events", client, sleep=kept.append, chance=lambda: 0.0, **changes)


def ids_in(log: FakeEventLog) -> list[str]:
    return [event.event_id for event in log.events]


def test_events_go_in_batches_and_each_arrives_once(log: FakeEventLog, client: AppClient) -> None:
    events = [event_fields(number) for number in range(1, 2 * BATCH_EVENTS_MAX + 2)]
    assert sender(client).send(events) == []
    assert ids_in(log) == [event["event_id"] for event in events]


def test_the_receipts_that_are_asked_for_cover_every_event_that_was_accepted(
    log: FakeEventLog, client: AppClient
) -> None:
    kept: list[Mapping[str, Any]] = []
    events = [event_fields(number) for number in range(1, BATCH_EVENTS_MAX + 3)]
    events[0]["video_id"] = "#NAME?"
    assert len(sender(client, keep_receipt=kept.append).send(events)) == 1
    read = [read_receipt(json.dumps(each).encode(), READ_SIGNED) for each in kept]
    assert [event.event_id for _, of_request in read for event in of_request] == ids_in(log)


def test_large_events_are_sent_in_smaller_batches(log: FakeEventLog, client: AppClient) -> None:
    events = [event_fields(number, further="x" * 60_000) for number in range(1, 41)]
    assert sender(client).send(events) == []
    assert len(log.events) == 40


def test_rejected_events_are_returned_with_their_places_and_reasons(log: FakeEventLog, client: AppClient) -> None:
    events = [event_fields(number) for number in range(1, BATCH_EVENTS_MAX + 3)]
    events[-1]["video_id"] = "#NAME?"
    (rejected,) = sender(client).send(events)
    assert (rejected["index"], rejected["event_id"]) == (len(events) - 1, events[-1]["event_id"])
    assert rejected["reasons"][0]["code"] == "video_id_invalid"
    assert len(log.events) == len(events) - 1


def test_each_event_arrives_with_the_agent_of_its_player_and_none_as_that_of_a_script(
    log: FakeEventLog, client: AppClient
) -> None:
    agents = ["Mozilla/5.0 (X11; Linux x86_64)", None, "Roku/DVP-9.10", "Mozilla/5.0 (X11; Linux x86_64)", "", "ü\r\nX"]
    events = [event_fields(number, user_agent=agent) for number, agent in enumerate(agents, start=1)]
    assert sender(client).send(events) == []
    read = {event.event_id: decode_view_event(event.value) for event in log.events}
    arrived = [view for event in events if isinstance(view := read[event["event_id"]], ViewEvent)]
    assert [view.user_agent for view in arrived] == [agents[0], None, *agents[2:4], None, "X"]
    assert [invalid_reason(view, NEWEST) for view in arrived] == [None] * len(agents)


def test_rejected_events_have_their_places_also_among_those_of_several_agents(client: AppClient) -> None:
    events = [event_fields(number, user_agent="BA"[number % 2]) for number in range(1, 9)]
    for place in (0, 3, 6):
        events[place]["video_id"] = "#NAME?"
    rejected = sender(client).send(events)
    assert [(each["index"], each["event_id"]) for each in rejected] == [
        (place, events[place]["event_id"]) for place in (0, 3, 6)
    ]


def test_the_same_is_sent_again_after_the_time_that_the_collector_asks_for(
    log: FakeEventLog, client: AppClient
) -> None:
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        log.is_away = len(waits) < 5

    log.is_away = True
    assert Sender("http://testserver/v1/events", client, sleep=sleep, chance=lambda: 0.0).send([event_fields()]) == []
    assert waits == [2.0, 2.0, 2.0, 2.0, 4.0]  # what it asks for, and then the longer backoff
    assert ids_in(log) == [event_fields()["event_id"]]


def test_what_is_not_delivered_is_handed_back(log: FakeEventLog, client: AppClient) -> None:
    log.away_after_appends = 1
    events = [event_fields(number) for number in range(1, BATCH_EVENTS_MAX + 2)]
    with pytest.raises(NotDeliveredError, match=r"^1 events are not delivered \(503: .*log_unavailable") as caught:
        sender(client, tries_max=3).send(events)
    assert caught.value.rest == (events[-1],)


def test_a_server_that_is_away_is_tried_as_often_as_allowed() -> None:
    waits: list[float] = []
    with httpx.Client(trust_env=False) as client, pytest.raises(NotDeliveredError):
        Sender("http://127.0.0.1:9/v1/events", client, 4, waits.append, lambda: 1.0).send([event_fields()])
    assert waits == [0.5, 1.0, 2.0]


def test_another_address_is_an_error_at_once(client: AppClient) -> None:
    waits: list[float] = []
    wrong = Sender("http://testserver/v1/event", client, sleep=waits.append)
    with pytest.raises(NotDeliveredError, match=r"404: .*POST /v1/events"):
        wrong.send([event_fields()])
    assert waits == []


def test_an_event_without_an_id_is_not_sent(log: FakeEventLog, client: AppClient) -> None:
    nameless = {name: value for name, value in event_fields().items() if name != "event_id"}
    for wrong in (nameless, 7, None, ["event_id"]):
        with pytest.raises(ValueError, match="has its event_id before it is sent"):
            sender(client).send([event_fields(), wrong])  # type: ignore[list-item]
    assert log.events == []


@pytest.mark.parametrize(
    ("words", "lines", "code", "sentence"),
    [
        ([], [], 2, "usage: "),
        (["collector:17071"], [], 2, "usage: "),
        (["http://127.0.0.1:port/v1/events"], ['{"event_id":"a"}'], 1, "Invalid"),
        (["http://127.0.0.1:9/v1/events"], ["", "{oops"], 1, "property name"),
        (["http://127.0.0.1:9/v1/events"], ["[]"], 1, "an event is an object"),
    ],
)
def test_wrong_words_and_lines_get_one_sentence(
    words: list[str], lines: list[str], code: int, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words, lines) == code
    shown = capsys.readouterr().err
    assert sentence in shown
    assert len(shown.splitlines()) == 1
