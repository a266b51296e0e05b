"""Receipts: what a collector signs about acknowledged events, and what is noticed when one is changed."""

import gzip
import hashlib
import io
import json
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from starlette.testclient import TestClient

from ingestion.file_receipts import UnusableLine, UsableLine, receipts_in
from ingestion.http_collector import Collector, collector_app
from ingestion.intake import AdmittedEvent, admit, arrival
from ingestion.jwk_set import KeySetError
from ingestion.jwt_plays import play_reader
from ingestion.jwt_receipts import key_set_with_new, receipt_keys, receipts_by, signed_reader
from ingestion.play_claims import Plays
from ingestion.receipts import LINE_BYTES_MAX, ReceiptError, read_receipt
from jobs.commands.receipt_keys import create
from jobs.errors import CommandError
from jobs.settings.declared.pipeline import RECEIPT_KEYS_FILE, RECEIPTS
from jobs.wiring.receipts import read_receipts, read_signed_reader
from tests import receipt_makers
from tests.ingestion_fakes import (
    KEY,
    NOW,
    PLAY_KEY,
    FakeEventLog,
    ed25519_jwk,
    event_fields,
    event_json,
    hmac_jwk,
    token_of,
)
from tests.receipt_makers import READ_SIGNED, SIGNING, line_of


def client_of(log: FakeEventLog, **settings: Any) -> TestClient:
    known = {"receipts": receipt_makers.RECEIPTS, "plays": Plays(play_reader([PLAY_KEY]))} | settings
    collector = Collector(event_log=log, clock=lambda: NOW, pseudonym_key=KEY, **known)
    return TestClient(collector_app(collector), client=("203.0.113.9", 5), raise_server_exceptions=False)


def post(client: TestClient, body: bytes, content_type: str = "application/json", **headers: str) -> Any:
    return client.post("/v1/events", content=body, headers={"content-type": content_type, **headers})


def cloud_event(number: int) -> dict[str, Any]:
    fields = event_fields(number)
    head = {"specversion": "1.0", "type": "viewledger.view", "source": "test", "id": fields["event_id"]}
    return head | {"data": fields}


BODIES = {
    "one event": (event_json(1), "application/json", {}),
    "an array": (b"[" + event_json(1) + b"," + event_json(2) + b"]", "application/json", {}),
    "lines as text": (event_json(1) + b"\n" + event_json(2), "text/plain", {}),
    "gzip": (
        gzip.compress(event_json(1) + b"\n" + event_json(2)),
        "application/x-ndjson",
        {"content-encoding": "gzip"},
    ),
    "a play": (json.dumps({"play": token_of(), "view_duration": 30}).encode(), "application/json", {}),
    "one CloudEvent": (json.dumps(cloud_event(1)).encode(), "application/cloudevents+json", {}),
    "CloudEvents": (
        json.dumps([cloud_event(1), cloud_event(2)]).encode(),
        "application/cloudevents-batch+json",
        {},
    ),
}


@pytest.mark.parametrize("form", BODIES)
def test_a_receipt_covers_the_messages_of_the_log_in_every_form_of_a_request(form: str) -> None:
    body, content_type, headers = BODIES[form]
    log = FakeEventLog()
    for asked in ("yes", "paths"):
        log.events.clear()
        answer = post(client_of(log), body, content_type, **headers, receipt=asked)
        assert answer.status_code == 202, answer.text
        signed, events = read_receipt(json.dumps(answer.json()["receipt"]).encode(), READ_SIGNED)
        assert signed.at == NOW
        assert [(each.event_id, each.sha256) for each in events] == [
            (message.event_id, hashlib.sha256(message.value).hexdigest()) for message in log.events
        ]
        written = json.loads(log.events[0].value)
        assert (events[0].video_id, str(events[0].event_day)) == (written["video_id"], written["timestamp"][:10])
        assert all((each.audit_path is not None) == (asked == "paths") for each in events)


def test_a_receipt_is_given_where_the_setting_or_the_request_asks_and_not_elsewhere() -> None:
    for_all = receipts_by(receipt_makers.KEYS, are_for_all=True)
    assert "receipt" in post(client_of(FakeEventLog(), receipts=for_all), event_json()).json()
    assert "receipt" not in post(client_of(FakeEventLog()), event_json()).json()


def test_refused_events_are_in_no_receipt() -> None:
    log = FakeEventLog()
    body = event_json(1) + b"\n" + event_json(2, video_id="#NAME?") + b"\n" + event_json(3)
    answer = post(client_of(log), body, "application/x-ndjson", receipt="yes").json()
    _, events = read_receipt(json.dumps(answer["receipt"]).encode(), READ_SIGNED)
    assert [each.event_id for each in events] == [answer["results"][at]["event_id"] for at in (0, 2)]
    none = post(client_of(log), event_json(2, video_id="#NAME?"), receipt="yes").json()
    assert (none["accepted"], "receipt" in none) == (0, False)


def test_without_acknowledgement_there_is_no_receipt() -> None:
    log = FakeEventLog()
    log.is_away = True
    answer = post(client_of(log), event_json(), receipt="yes")
    assert answer.status_code == 503
    assert "receipt" not in answer.json()


def test_a_header_that_cannot_be_honoured_is_refused_before_anything_is_written() -> None:
    log = FakeEventLog()
    wrong = post(client_of(log), event_json(), receipt="please")
    assert (wrong.status_code, wrong.json()["code"]) == (400, "receipt_unknown")
    without = post(client_of(log, receipts=read_receipts({})), event_json(), receipt="yes")
    assert (without.status_code, without.json()["code"]) == (406, "receipts_unavailable")
    assert log.events == []


def test_the_collector_publishes_the_public_halves_of_its_keys() -> None:
    answer = client_of(FakeEventLog()).get("/v1/receipt-keys")
    assert answer.headers["content-type"] == "application/jwk-set+json"
    assert answer.json() == {"keys": [ed25519_jwk("r1", SIGNING, is_private=False)]}
    read_receipt(line_of(admitted(3)), signed_reader(receipt_keys(answer.content)))
    assert client_of(FakeEventLog(), receipts=read_receipts({})).get("/v1/receipt-keys").json() == {"keys": []}


def test_a_library_of_jws_checks_a_receipt_as_we_do() -> None:
    signed = json.loads(line_of(admitted(2)))["signed"]
    assert jwt.get_unverified_header(signed) == {"alg": "EdDSA", "kid": "r1", "typ": "viewledger-receipt"}
    claims = jwt.decode(signed, SIGNING.public_key(), algorithms=["EdDSA"])
    assert (claims["at"], claims["events"], len(claims["root"])) == ("2026-11-23T10:00:00.000Z", 2, 64)


def admitted(count: int) -> list[AdmittedEvent]:
    came = arrival(NOW, None, broker_time=NOW)
    found = [admit(event_json(number), came, KEY) for number in range(1, count + 1)]
    return [each for each in found if isinstance(each, AdmittedEvent)]


def changed(line: bytes, *path: Any, to: Any) -> bytes:
    document = json.loads(line)
    place = document
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = to
    return json.dumps(document).encode()


def test_one_event_of_a_receipt_can_be_handed_on_with_its_path_alone() -> None:
    document = json.loads(line_of(admitted(5), with_paths=True))
    for event in document["events"]:
        _, (read,) = read_receipt(json.dumps({**document, "events": [event]}).encode(), READ_SIGNED)
        assert read.event_id == event["event_id"]
    whole = json.loads(line_of(admitted(5)))
    with pytest.raises(ReceiptError, match="does not lead to the root"):
        read_receipt(json.dumps({**whole, "events": whole["events"][:4]}).encode(), READ_SIGNED)


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (b"{}", "is not a receipt"),
        (b"[]", "is not a receipt"),
        (b"\xff", "is not a receipt"),
        (changed(line_of(admitted(2)), "events", 0, "sha256", to="0" * 64), "does not lead to the root"),
        (changed(line_of(admitted(2)), "events", 0, "video_id", to="another"), "does not lead to the root"),
        (changed(line_of(admitted(2)), "events", 0, "event_day", to="2026-11-24"), "does not lead to the root"),
        (changed(line_of(admitted(2)), "events", to=[]), "is not a receipt"),
        (changed(line_of(admitted(2), with_paths=True), "events", 0, "leaf_index", to=1), "does not lead"),
        (changed(line_of(admitted(2), with_paths=True), "events", 0, "audit_path", to=[]), "does not lead"),
        (changed(line_of(admitted(2)), "signed", to="a.b.c"), "no signed part in three parts"),
        (changed(line_of(admitted(1)), "note", to=1), "is not a receipt"),
    ],
)
def test_a_receipt_that_was_changed_is_refused_with_one_sentence(line: bytes, sentence: str) -> None:
    with pytest.raises(ReceiptError, match=sentence):
        read_receipt(line, READ_SIGNED)


def test_only_a_known_key_signs_and_only_as_a_receipt() -> None:
    other = Ed25519PrivateKey.generate()
    line = line_of(admitted(1))
    for keys, sentence in (
        ([ed25519_jwk("r2", SIGNING)], "by the key 'r1', which is unknown"),
        ([ed25519_jwk("r1", other)], "wrong signature"),
    ):
        with pytest.raises(ReceiptError, match=sentence):
            read_receipt(line, signed_reader(receipt_keys(json.dumps({"keys": keys}))))
    claims = jwt.decode(json.loads(line)["signed"], options={"verify_signature": False})
    for key, algorithm, headers in (
        (SIGNING, "EdDSA", {"kid": "r1", "typ": "JWT"}),
        ("s" * 32, "HS256", {"kid": "r1", "typ": "viewledger-receipt"}),
    ):
        forged = jwt.encode(claims, key, algorithm, headers=headers)
        with pytest.raises(ReceiptError, match="is signed as"):
            read_receipt(changed(line, "signed", to=forged), READ_SIGNED)


def test_a_file_is_read_line_by_line_and_each_wrong_line_gets_a_sentence() -> None:
    good = line_of(admitted(2))
    text = good + b"\n" + b"{oops\n" + b"x" * (LINE_BYTES_MAX + 5) + b"\n" + good + good[: len(good) // 2]
    found = list(receipts_in(io.BytesIO(text), READ_SIGNED))
    assert [(each.line, isinstance(each, UsableLine)) for each in found] == [
        (1, True), (3, False), (4, False), (5, True), (6, False),
    ]  # fmt: skip
    problems = [each.problem for each in found if isinstance(each, UnusableLine)]
    assert problems[0].startswith("is not a receipt")
    assert "more than" in problems[1]
    assert problems[2] == "ends within a receipt: the file was cut off"
    assert list(receipts_in(io.BytesIO(b"\n"), READ_SIGNED)) == [UnusableLine(1, "is empty: the file holds no receipt")]


def test_a_new_key_signs_and_the_former_ones_keep_checking(tmp_path: Path) -> None:
    file = tmp_path / "receipt-keys.json"
    create(key=file, kid="2026-11", as_json=False)
    assert file.stat().st_mode & 0o777 == 0o600
    old = json.loads(file.read_text())["keys"][0]
    before = read_receipts({RECEIPT_KEYS_FILE.name: str(file)})
    create(key=file, kid="2026-12", as_json=True)
    new, former = json.loads(file.read_text())["keys"]
    assert (new["kid"], "d" in new) == ("2026-12", True)
    assert former == {name: value for name, value in old.items() if name != "d"}
    after = read_receipts({RECEIPT_KEYS_FILE.name: str(file), RECEIPTS.name: "1"})
    assert after.are_for_all
    read_signed = read_signed_reader({}, file)
    for receipts in (before, after):
        assert receipts.sign is not None
        assert read_signed(receipts.sign(b"{}")) == b"{}"
    with pytest.raises(CommandError, match="the same kid"):
        create(key=file, kid="2026-11", as_json=False)
    with pytest.raises(KeySetError, match="remove those"):
        key_set_with_new(receipt_makers.KEYS * 64, "more")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "not a JWK Set"),
        ('{"keys": []}', "not a JWK Set"),
        (json.dumps({"keys": [hmac_jwk("a", bytes(32))]}), "must be OKP of the curve Ed25519"),
        (json.dumps({"keys": [ed25519_jwk("a", SIGNING) | {"x": "AA"}]}), "cannot be read"),
        (json.dumps({"keys": [ed25519_jwk("a", SIGNING) | {"d": "A" * 43}]}), "do not belong together"),
        (json.dumps({"keys": [ed25519_jwk("a", SIGNING)] * 2}), "the same kid"),
        (json.dumps({"keys": [ed25519_jwk("a", SIGNING, is_private=False)]}), "every key is public"),
    ],
)
def test_keys_that_cannot_be_used_are_refused_with_one_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    file = tmp_path / "keys.json"
    file.write_text(text)
    with pytest.raises(CommandError, match=sentence) as refused:
        read_receipts({RECEIPT_KEYS_FILE.name: str(file)})
    assert RECEIPT_KEYS_FILE.name in str(refused.value)
    with pytest.raises(CommandError, match=f"{RECEIPTS.name} is 1 and {RECEIPT_KEYS_FILE.name} is not set"):
        read_receipts({RECEIPTS.name: "1"})
    with pytest.raises(CommandError, match="give --keys FILE"):
        read_signed_reader({}, None)
