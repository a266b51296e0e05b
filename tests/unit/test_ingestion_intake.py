import json
from datetime import timedelta
from typing import Any

import pytest

from ingestion.contract.decoding import decode_view_event
from ingestion.contract.event import EVENT_BYTES_MAX, RejectedEvent, ViewEvent
from ingestion.intake import AdmittedEvent, Origin, admit, arrival, instant_text
from ingestion.pseudonym import pseudonym_of, session_pseudonym_of
from tests.ingestion_fakes import KEY, NOW, event_fields, event_json

CAME = arrival(NOW, Origin("192.0.2.0/24", "Player/1.0"), broker_time=NOW)


def admitted(raw: bytes, came: Any = CAME) -> dict[str, Any]:
    outcome = admit(raw, came, KEY)
    assert isinstance(outcome, AdmittedEvent), outcome
    fields: dict[str, Any] = json.loads(outcome.value)
    return fields


def codes(raw: bytes) -> list[str]:
    outcome = admit(raw, CAME, KEY)
    assert isinstance(outcome, RejectedEvent), outcome
    return [reason.code for reason in outcome.reasons]


def test_an_event_gets_the_collectors_fields_and_a_pseudonym() -> None:
    assert admitted(event_json()) == event_fields() | {
        "user_id": pseudonym_of("alice", KEY),
        "session_id": session_pseudonym_of("s1", KEY),
        "received_at": "2026-11-23T10:00:00.000Z",
        "client_network": "192.0.2.0/24",
        "user_agent": "Player/1.0",
    }


def test_the_raw_user_id_is_nowhere_in_what_goes_to_the_log() -> None:
    outcome = admit(event_json(user_id="alice@example.org"), CAME, KEY)
    assert isinstance(outcome, AdmittedEvent)
    assert b"alice" not in outcome.value
    assert outcome.key == b"-JinobXWPk"


def test_what_a_client_claims_in_the_collectors_fields_is_overwritten() -> None:
    claims = {"received_at": "2020-01-01T00:00:00Z", "client_network": "8.8.8.0/24", "user_agent": "Forged"}
    assert admitted(event_json(**claims)) == admitted(event_json())
    nothing_known = arrival(NOW, Origin(), broker_time=NOW)
    assert {"client_network", "user_agent"}.isdisjoint(admitted(event_json(**claims), nothing_known))


def test_a_claim_with_an_escaped_key_is_overwritten_too() -> None:
    raw = event_json().replace(b'"user_id"', b'"user\\u005fid"')
    assert admitted(raw)["user_id"] == pseudonym_of("alice", KEY)
    assert b"alice" not in admit(raw, CAME, KEY).value  # type: ignore[union-attr]


def test_a_file_keeps_its_user_agent_and_its_network_as_far_as_it_may_be_kept() -> None:
    from_file = arrival(NOW, None, broker_time=NOW)
    kept = admitted(event_json(client_network="192.0.2.77", user_agent="Bot"), from_file)
    assert (kept["client_network"], kept["user_agent"]) == ("192.0.2.0/24", "Bot")
    assert "client_network" not in admitted(event_json(client_network="home"), from_file)


def test_a_session_has_one_pseudonym_that_is_not_a_viewers() -> None:
    sent = event_json(session_id="alice")
    assert b"alice" not in admit(sent, CAME, KEY).value  # type: ignore[union-attr]
    assert admitted(sent)["session_id"] == session_pseudonym_of("alice", KEY) != pseudonym_of("alice", KEY)
    assert admitted(sent) == admitted(sent), "sent again, it is the same event"


@pytest.mark.parametrize(
    ("referrer", "kept"),
    [
        ("https://Example.com/users/alice?mail=alice@example.org#me", "example.com"),
        ("https://alice:secret@example.com:8080/", "example.com"),
        ("//example.com?alice", "example.com"),
        ("example.com", "example.com"),
        ("mailto:alice@example.com", "example.com"),
        ("android-app://com.example.alice/", "com.example.alice"),
        ("alice", None),
        ("/users/alice.html", None),
        ("https://", None),
        ("a" * 2000 + "@", None),
        ("file:///home/alice/films.html", None),
    ],
)
def test_of_the_page_a_viewer_came_from_the_host_alone_is_kept(referrer: str, kept: str | None) -> None:
    assert admitted(event_json(referrer=referrer)).get("referrer") == kept


def test_unknown_fields_stay_as_they_were_sent_to_the_last_digit() -> None:
    raw = event_json()[:-1] + b', "x": {"y": [1.50, 12345678901234567890123]}}'
    outcome = admit(raw, CAME, KEY)
    assert isinstance(outcome, AdmittedEvent)
    assert b'"x":{"y": [1.50, 12345678901234567890123]}' in outcome.value


def test_what_is_admitted_is_well_formed_downstream() -> None:
    outcome = admit(event_json(referrer='quote " and \\ back', quality=None), CAME, KEY)
    assert isinstance(outcome, AdmittedEvent)
    assert isinstance(decode_view_event(outcome.value), ViewEvent)


@pytest.mark.parametrize(
    ("minutes", "expected"),
    [(5, None), (6, ["clock_suspect"]), (-60 * 24 * 34, None), (-60 * 24 * 36, None)],  # the last is late, yet admitted
)
def test_an_event_from_the_future_is_rejected_and_a_late_one_is_not(minutes: int, expected: list[str] | None) -> None:
    raw = event_json(timestamp=instant_text(NOW + timedelta(minutes=minutes)))
    assert (codes(raw) if expected else admitted(raw)["timestamp"]) == (
        expected or instant_text(NOW + timedelta(minutes=minutes))
    )


@pytest.mark.parametrize("hours", [-2, 2])
def test_a_wrong_clock_of_the_collector_decides_nothing(hours: int) -> None:
    came = arrival(NOW + timedelta(hours=hours), None, broker_time=NOW)
    now, later = (event_json(timestamp=instant_text(NOW + timedelta(minutes=minutes))) for minutes in (0, 10))
    assert admitted(now, came)["received_at"] == instant_text(NOW)
    assert isinstance(admit(later, came, KEY), RejectedEvent)


def test_while_the_brokers_time_is_unknown_no_event_is_refused_for_its_time() -> None:
    came = arrival(NOW, None, broker_time=None)
    assert admitted(event_json(timestamp=instant_text(NOW + timedelta(days=1))), came)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"", ["json_malformed"]),
        (b"42", ["json_not_an_object"]),
        (b'{"a":NaN}', ["json_malformed"]),
        (event_json(video_id="#NAME?"), ["video_id_invalid"]),
        (event_json(video_id="", view_duration=-1), ["video_id_invalid", "view_duration_invalid"]),
        (event_json(timestamp="2026-11-23T09:59:00"), ["timestamp_invalid"]),
        (event_json()[:-1] + b',"video_id":"other"}', ["duplicate_key"]),
        (event_json(referrer="\udc80").replace(b"\\udc80", b"\xff"), ["json_malformed"]),
        (event_json(x="y" * EVENT_BYTES_MAX), ["body_too_large"]),
    ],
)
def test_an_event_that_breaks_the_contract_is_rejected_with_every_reason(raw: bytes, expected: list[str]) -> None:
    assert codes(raw) == expected


def test_an_event_that_only_the_collectors_fields_make_too_large_is_rejected_here_rather_than_downstream() -> None:
    padding = EVENT_BYTES_MAX - len(event_json(x="")) - 10
    assert isinstance(decode_view_event(event_json(x="y" * padding)), ViewEvent)
    assert codes(event_json(x="y" * padding)) == ["body_too_large"]
