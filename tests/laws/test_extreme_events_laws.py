"""At the edges of every field, every reader of events gives an answer, and all of them the same."""

import hashlib
import json
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from batch_layer.judging import spark_decode
from batch_layer.judging.batch_keys import Reading
from ingestion.contract import decoding
from ingestion.contract.advertisements import SECONDS_MIN
from ingestion.contract.attesting_keys import AttestationCheck
from ingestion.contract.countries import country_of
from ingestion.contract.event import ADVERTISEMENTS_MAX, RejectedEvent, ViewEvent, event_id_of, payload_digest
from ingestion.contract.event_contracts import BEFORE_VERSIONS, NEWEST, OLDEST, EventContracts
from ingestion.contract.instants import EARLIEST, LATEST_BEFORE
from ingestion.contract.traits import Traits, TraitsKey
from ingestion.intake import AdmittedEvent, Origin, admit, arrival
from speed_layer.chunk import judge, spans
from tests.extreme_events import extreme_message

SEED = 20261128
CASES = 6_000
TRAITS_KEY = TraitsKey(b"k" * 32)
AT = datetime(2026, 11, 21, 10, tzinfo=UTC)
AT_MS = int(AT.timestamp() * 1000)
CONTRACTS = {OLDEST: BEFORE_VERSIONS, NEWEST: EventContracts.of_new_log("video-views")}
READING = {version: Reading(contracts, TRAITS_KEY, AttestationCheck()) for version, contracts in CONTRACTS.items()}
OLDEST_GIVES = "ff8fd9ab74bd2ff4577a5604f0554be7ba6f192b295e773aac4a459f14bf46e9"
"""SHA-256 over the rows that the program before versions were named gave for 20,000 of these messages."""


@dataclass(frozen=True)
class Record:
    offset: int
    timestamp: int
    value: bytes | None


def messages(count: int = CASES) -> Iterator[bytes]:
    rng = random.Random(SEED)
    return (extreme_message(rng) for _ in range(count))


def batch_rows(values: list[bytes], contract: int) -> list[dict[str, object]]:
    """What the batch layer's decode step makes of messages, as Spark's workers run it."""
    count = len(values)
    chunk = pa.RecordBatch.from_pydict(
        {
            "partition": pa.array([3] * count, pa.int32()),
            "offset": pa.array(range(count), pa.int64()),
            "appended_at": pa.array([AT] * count, pa.timestamp("us", "UTC")),
            "key": pa.array([b"video"] * count, pa.binary()),
            "value": pa.array(values, pa.binary()),
        }
    )
    return [row for rows in spark_decode._Decoder(READING[contract])([chunk]) for row in rows.to_pylist()]


@pytest.mark.parametrize("contract", [OLDEST, NEWEST])
def test_the_quick_way_decides_as_the_slow_way(contract: int) -> None:
    kept = 0
    for raw in messages():
        quick, slow = decoding.decode_view_event(raw, contract), decoding._decode_slowly(raw, contract)
        if isinstance(quick, ViewEvent) and isinstance(slow, ViewEvent):
            kept += 1
            assert all(getattr(quick, name) == getattr(slow, name) for name in ViewEvent.__struct_fields__), raw[:500]
        else:
            assert quick == slow, raw[:500]
    assert CASES / 10 < kept < CASES


@pytest.mark.parametrize("contract", [OLDEST, NEWEST])
def test_both_layers_give_every_message_one_outcome_and_the_same(contract: int) -> None:
    values = list(messages())
    rows = batch_rows(values, contract)
    assert [row["offset"] for row in rows] == list(range(len(values)))
    records = [Record(offset, AT_MS, value) for offset, value in enumerate(values)]
    (span,) = spans(records, partition=3, offsets=(0, len(records)), segment=0, generation_ms=10**15)
    chunk = judge(span, CONTRACTS[contract])
    rejected = {row["offset"] for row in rows if row["verdict"] == "rejected"}
    late = [row for row in rows if row["verdict"] == "late_review"]
    candidates = [row for row in rows if row["verdict"] is None]
    differing = {each.record.offset for each in chunk.rejections} ^ rejected
    if contract == NEWEST:
        assert not differing
        assert chunk.unknown_countries == sum(bool(row["is_country_unknown"]) for row in candidates) > 0
    # the oldest could not describe an instant without a form in UTC, which alone the speed layer never has to
    assert all(b"0001-01-01" in values[offset] for offset in differing)
    assert chunk.late == len(late) + len(differing)
    assert len(chunk.candidates) + chunk.duplicates == len(candidates)
    assert all(row["reasons"] for row in rows if row["verdict"] == "rejected"), "each says why"


def test_what_the_newest_contract_lets_pass_is_within_its_bounds() -> None:
    for raw, row in zip(messages(), batch_rows(list(messages()), NEWEST), strict=True):
        event = decoding.decode_view_event(raw)
        if isinstance(event, RejectedEvent):
            assert event.event_id is None or event_id_of(event.event_id) in (None, event.event_id), (
                "one id, one spelling"
            )
            continue
        assert event.timestamp.tzinfo is UTC
        assert EARLIEST <= event.timestamp < LATEST_BEFORE
        assert len(event.ad_views or ()) <= ADVERTISEMENTS_MAX
        assert len(payload_digest(event)) == 32
        if row["verdict"] != "rejected":
            assert row["country"] == country_of(event.geo_location)
            assert isinstance(row["ad_types"], list)
            assert len(row["ad_types"]) <= max(1, event.view_duration // SECONDS_MIN)


@pytest.mark.parametrize("contract", [OLDEST, NEWEST])
def test_every_message_has_traits_of_their_kind_or_none(contract: int) -> None:
    with_traits = 0
    for row in batch_rows(list(messages()), contract):
        traits = Traits(**{name: row[name] for name in Traits._fields})
        if row["verdict"] == "rejected":
            assert set(traits) == {None}
            continue
        with_traits += traits.agent is not None
        assert traits.ad_seconds >= 0
        for name in ("network", "agent"):
            assert getattr(traits, name) is None or re.fullmatch("[0-9a-f]{32}", getattr(traits, name))
        assert (traits.agent is None) == (traits.agent_class is None)
    assert with_traits > CASES / 100


def test_an_instant_is_cut_to_the_microsecond_and_never_rounded() -> None:
    for raw in messages():
        event = decoding.decode_view_event(raw)
        if isinstance(event, ViewEvent):
            sent = json.loads(raw)["timestamp"]
            assert event.timestamp == datetime.fromisoformat(sent.upper().replace(" ", "T")), "Python cuts, too"


def test_the_collector_answers_every_message_and_what_it_admits_keeps_the_contract() -> None:
    came = arrival(AT, Origin("10.0.0.0/24", "agent"), broker_time=AT + timedelta(seconds=1))
    admitted = 0
    for raw in messages():
        outcome = admit(raw, came, b"k" * 32)
        if isinstance(outcome, AdmittedEvent):
            admitted += 1
            assert isinstance(decoding.decode_view_event(outcome.value), ViewEvent), raw[:500]
            assert event_id_of(outcome.event_id) == outcome.event_id
    assert admitted > CASES / 10


def test_the_oldest_contract_gives_what_it_gave_before_versions_were_named() -> None:
    digest = hashlib.sha256()
    for raw in messages(20_000):
        row = spark_decode._Decoder(READING[OLDEST])._row(b"video", raw, (0, 0), AT_MS * 1000)
        row = row[: -1 - len(Traits._fields)]  # what it had then
        if row[-1] and row[-1][0]["code"] == "event_unreadable":
            continue  # these stopped the run
        as_text = [each.hex() if isinstance(each, bytes) else each for each in row]  # the digest was text then
        digest.update(json.dumps(as_text, default=str).encode())
    assert digest.hexdigest() == OLDEST_GIVES, "an archived event has another outcome now"


def test_how_deep_the_caller_stands_decides_nothing() -> None:
    values = [raw for raw in messages(2_000) if b'{"a":{"a"' in raw or b"[[" in raw or raw.count(b'"a"') > 20]
    assert values

    def deep(left: int, raw: bytes) -> object:
        return decoding.decode_view_event(raw) if left == 0 else deep(left - 1, raw)

    for raw in values:
        assert deep(0, raw) == deep(400, raw), raw[:200]


def test_whatever_makes_a_step_fail_becomes_a_rejected_row_that_names_its_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def failing(event: ViewEvent) -> str:
        raise MemoryError("out of memory")

    monkeypatch.setattr(spark_decode, "payload_digest", failing)
    good = next(raw for raw in messages() if isinstance(decoding.decode_view_event(raw), ViewEvent))
    (row,) = batch_rows([good], NEWEST)
    assert row["verdict"] == "rejected"
    assert row["reasons"] == [
        {"code": "event_unreadable", "detail": "message 3:0 cannot be read (MemoryError)"},
    ]
