"""Both layers find the same invalid traffic, in any stream; the model over the whole log says which."""

import json
import random
import uuid
from collections import Counter
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from batch_layer.judging import spark_decode
from batch_layer.judging.batch_keys import Reading
from ingestion.contract.attesting_keys import AttestationCheck
from ingestion.contract.counting import Received, Verdict, settle
from ingestion.contract.decoding import decode_view_event
from ingestion.contract.event_contracts import EventContracts
from ingestion.contract.offsets import OffsetVector
from ingestion.contract.traits import TraitsKey
from speed_layer.chunk import instant_of, judge, spans
from tests.shipped_policies import shipped_policy_on
from tests.speed_fakes import START_MS, FakeRecord

AGENTS = (
    None,
    "Player/1.0",
    "Googlebot/2.1",
    "curl/8.5.0",
    "Roku/DVP-12.0 (12.0.0.4182-AD)",
    "Mozilla/5.0 (Linux; Android 9; CUBOT_X18_Plus) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0 Mobile",
    "AppleCoreMedia/1.0.0.20G75 (iPhone; U; CPU OS 16_6 like Mac OS X; en_us)",
)
DEVICES = (None, "mobile", "tv", "iphone", "Android")
ADVERTISEMENTS = (
    None,
    [{"ad_id": "a", "watched_seconds": 3_600}],
    [{"ad_id": f"{number}", "watched_seconds": 60} for number in range(40)],
)
UPGRADED_AT = 150
"""Messages before this offset are read by the contract that knows no invalid traffic."""


def message(rng: random.Random, ids: list[uuid.UUID]) -> bytes:
    """An event of a few ids, so that robots repeat people and people robots; some are late or malformed."""
    happened = instant_of(START_MS) - timedelta(days=rng.choice((0, 0, 0, 0, 0, 0, 0, 0, 36)))
    event = {
        "event_id": str(rng.choice(ids)),
        "video_id": rng.choice(("a", "b")),
        "user_id": "viewer",
        "session_id": "session",
        "timestamp": happened.isoformat(),
        "view_duration": rng.choice((5, 60, 60, 60, 60, -1)),
        "revenue_eligible": True,
        "user_agent": rng.choice(AGENTS),
        "device_type": rng.choice(DEVICES),
        "ad_views": rng.choice(ADVERTISEMENTS),
    }
    return json.dumps({name: value for name, value in event.items() if value is not None}).encode()


def decoded_rows(values: list[bytes], contracts: EventContracts) -> list[dict[str, object]]:
    """What Spark's workers make of the messages."""
    count = len(values)
    chunk = pa.RecordBatch.from_pydict(
        {
            "partition": pa.array([0] * count, pa.int32()),
            "offset": pa.array(range(count), pa.int64()),
            "appended_at": pa.array([datetime.fromtimestamp(START_MS / 1000, UTC)] * count, pa.timestamp("us", "UTC")),
            "key": pa.array([b"a"] * count, pa.binary()),
            "value": pa.array(values, pa.binary()),
        }
    )
    reading = Reading(contracts, TraitsKey(b"k" * 32), AttestationCheck())
    return [row for rows in spark_decode._Decoder(reading)([chunk]) for row in rows.to_pylist()]


@pytest.mark.parametrize("seed", range(8))
def test_both_layers_find_what_the_model_finds_and_every_event_has_one_verdict(seed: int) -> None:
    rng = random.Random(seed)
    ids = [uuid.UUID(int=rng.getrandbits(128), version=4) for _ in range(120)]
    values = [message(rng, ids) for _ in range(400)]
    contracts = EventContracts().followed_by_newest(OffsetVector("views", (UPGRADED_AT,)))
    # 1. the model
    at = instant_of(START_MS)
    log = [
        Received(0, offset, at, decode_view_event(value, contract), contract)
        for offset, value in enumerate(values)
        for contract in [contracts.version_at(0, offset)]
    ]
    outcomes = settle(log, {}, shipped_policy_on)
    assert len(outcomes) == len(values)
    tally = Counter(each.verdict for each in outcomes.values())
    assert tally.keys() == set(Verdict), f"seed {seed}: every verdict occurs"
    for each in outcomes.values():
        assert (each.billability is not None) == (each.verdict is Verdict.COUNTED)
    for offset in range(UPGRADED_AT):
        assert outcomes[0, offset].verdict is not Verdict.INVALID_TRAFFIC
    # 2. Spark's workers keep the reasons that the model keeps
    rows = decoded_rows(values, contracts)
    for row in rows:
        codes = [reason["code"] for reason in row["reasons"] or ()]  # type: ignore[attr-defined]
        assert codes == [reason.code for reason in outcomes[0, row["offset"]].reasons], row  # type: ignore[index]
    assert {reason.code for each in outcomes.values() for reason in each.reasons} >= {
        "declared_robot",
        "device_contradicted",
        "advertisements_impossible",
    }
    # 3. the speed layer counts the same, here in one chunk: an id is judged by its first event
    records = [FakeRecord(offset, START_MS, value) for offset, value in enumerate(values)]
    (span,) = spans(records, partition=0, offsets=(0, len(records)), segment=0, generation_ms=10**15)
    chunk = judge(span, contracts)
    invalid = {
        received.decoded.event_id.bytes  # type: ignore[union-attr]
        for received in log
        if outcomes[0, received.offset].verdict is Verdict.INVALID_TRAFFIC
    }
    assert set(chunk.invalid) == invalid, f"seed {seed}"
    assert len(chunk.candidates) - len(chunk.invalid) == tally[Verdict.COUNTED]
    assert chunk.duplicates == tally[Verdict.DUPLICATE] + tally[Verdict.CONFLICT]
    assert (chunk.late, len(chunk.rejections)) == (tally[Verdict.LATE_REVIEW], tally[Verdict.REJECTED])
