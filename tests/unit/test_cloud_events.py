import json
from typing import Any

import pytest

from ingestion.cloud_events import opened, opened_binary
from ingestion.contract.decoding import decode_view_event
from ingestion.contract.event import RejectedEvent, ViewEvent
from tests.ingestion_fakes import event_fields

ID = event_fields()["event_id"]


def envelope(**changes: Any) -> dict[str, Any]:
    attributes = {"specversion": "1.0", "id": ID, "source": "/players/web", "type": "viewledger.view"}
    return {**attributes, "time": "2026-11-23T10:00:00Z", "data": event_fields()} | changes


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in envelope().items() if key != name}


def codes(found: bytes | RejectedEvent) -> list[str]:
    assert isinstance(found, RejectedEvent)
    return [reason.code for reason in found.reasons]


def test_the_data_is_the_event_to_the_last_byte() -> None:
    data = b'{ "event_id": "%s", "view_duration": 1.50, "view_duration": 2 }' % ID.encode()
    raw = json.dumps(without("data")).encode()[:-1] + b',"data":' + data + b"}"
    assert opened(raw) == data


def test_the_id_stands_for_an_absent_event_id_and_equals_a_present_one_in_every_spelling() -> None:
    alone = {name: value for name, value in event_fields().items() if name != "event_id"}
    for sent in (envelope(data=alone), envelope(), envelope(id=ID.upper()), envelope(id=ID.replace("-", ""))):
        found = opened(json.dumps(sent).encode())
        assert isinstance(found, bytes)
        event = decode_view_event(found)
        assert isinstance(event, ViewEvent)
        assert str(event.event_id) == ID


def test_another_id_than_the_event_id_is_refused_under_the_events_own_id() -> None:
    found = opened(json.dumps(envelope(id=event_fields(2)["event_id"])).encode())
    assert codes(found) == ["cloudevent_id_invalid"]
    assert isinstance(found, RejectedEvent)
    assert found.event_id == ID


@pytest.mark.parametrize("data", ["{}", " { } ", '{"event_id":5}', "7", "[]", '"x"', "null", "true"])
def test_data_that_is_not_an_event_reaches_the_decoder_which_refuses_it(data: str) -> None:
    raw = json.dumps(without("data"))[:-1] + f',"data":{data}}}'
    found = opened(raw.encode())
    assert isinstance(found, bytes)
    assert isinstance(decode_view_event(found), RejectedEvent)


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ({}, ["specversion_missing", "id_missing", "source_missing", "type_missing", "data_missing"]),
        (envelope(specversion="0.3"), ["specversion_invalid"]),
        (envelope(specversion=1.0), ["specversion_invalid"]),
        (envelope(id=""), ["id_invalid"]),
        (envelope(id=7), ["id_invalid"]),
        (envelope(id=None), ["id_missing"]),
        (envelope(source=""), ["source_invalid"]),
        (envelope(type="com.example.view"), ["type_invalid"]),
        (envelope(type="viewledger.view\n"), ["type_invalid"]),
        (envelope(time="yesterday"), ["time_invalid"]),
        (envelope(time="2026-11-23T10:00:00"), ["time_invalid"]),
        (envelope(datacontenttype="text/xml"), ["datacontenttype_invalid"]),
        (without("data") | {"data_base64": "e30="}, ["data_missing"]),
        (
            envelope(specversion="2", time=5) | {"source": None},
            ["source_missing", "specversion_invalid", "time_invalid"],
        ),
    ],
)
def test_every_wrong_attribute_has_a_reason_of_its_own(sent: dict[str, Any], expected: list[str]) -> None:
    assert codes(opened(json.dumps(sent).encode())) == [f"cloudevent_{each}" for each in expected]


@pytest.mark.parametrize(
    "attributes",
    [{"time": None}, {"datacontenttype": "Application/JSON; charset=utf-8"}, {"subject": "x", "traceparent": 5}],
)
def test_absent_optional_and_further_attributes_are_accepted(attributes: dict[str, Any]) -> None:
    assert isinstance(opened(json.dumps(envelope(**attributes)).encode()), bytes)


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"[]", "json_malformed"),
        (b"5", "json_malformed"),
        (b"{", "json_malformed"),
        (b'{"id":"\xff"}', "json_malformed"),
        (b'{"id":"\\ud800"}', "json_malformed"),
        (b'{"a":' + b"[" * 60_000 + b"]" * 60_000 + b"}", "json_malformed"),
        (b'{"a":' + b"1" * 5000 + b"}", "json_malformed"),
        (json.dumps(envelope()).encode()[:-1] + b',"data":{}}', "duplicate_key"),
    ],
)
def test_an_envelope_that_is_not_one_strict_json_object_is_refused(raw: bytes, code: str) -> None:
    assert codes(opened(raw)) == [code]


def test_in_binary_mode_the_headers_are_the_attributes_and_the_body_is_the_event() -> None:
    data = json.dumps(event_fields()).encode()
    headers = {f"ce-{name}": value for name, value in without("data").items()}
    assert opened_binary(headers.get, data) == data
    assert opened_binary((headers | {"ce-id": ID.replace("-", "%2D")}).get, data) == data
    assert codes(opened_binary((headers | {"ce-id": "other"}).get, data)) == ["cloudevent_id_invalid"]
    assert codes(opened_binary({"ce-specversion": "1.0"}.get, data)) == [
        f"cloudevent_{name}_missing" for name in ("id", "source", "type")
    ]
