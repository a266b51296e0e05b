"""The fault harness's reference model and its table; the model must agree with the product's own rule."""

import json
import random
import re
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

import pytest

from faults.comparison import Outcome
from faults.guarantees import place_of, record, record_soak, recorded, write_document
from faults.reference import LogMessage, recount, views_within_horizon
from faults.soak import SoakResult
from faults.traffic import Generator
from ingestion.contract.counting import Received, settle
from ingestion.contract.decoding import decode_view_event
from ingestion.contract.event import ViewEvent
from jobs.errors import CommandError
from jobs.settings.state_home import PROJECT, state_home
from tests.shipped_policies import shipped_policy_on

SOAK = SoakResult(
    seed=7,
    verdict="pass",
    minutes=20,
    rate_asked=10,
    events=12_000,
    faults={"broker killed": 2},
    recovery_seconds_max=9.5,
    lag_max=44,
    memory={"speed": (50 * 2**20, 2**20)},
    load=1.5,
)


def now_ms() -> int:
    """Return the present in milliseconds, as a broker stamps messages: the harness makes events of the last hours."""
    return int(datetime.now(UTC).timestamp() * 1000)


def log_of(seed: int, count: int) -> list[LogMessage]:
    """A log as the harness makes it, on three partitions."""
    rng = random.Random(seed)
    generator = Generator(random.Random(seed), StringIO())
    intents = [each for _ in range(0, count, 50) for each in generator.take(50)]
    ends, begin_ms = [0, 0, 0], now_ms()
    messages = []
    for number, intent in enumerate(intents):
        partition = rng.randrange(3)
        messages.append(LogMessage(partition, ends[partition], begin_ms + number, intent.value))
        ends[partition] += 1
    return messages


@pytest.mark.parametrize("seed", range(5))
def test_the_model_and_the_contract_give_the_same_verdicts(seed: int) -> None:
    messages = log_of(seed, 3_000)
    model = recount(messages)
    received = (
        Received(
            each.partition,
            each.offset,
            datetime.fromtimestamp(each.appended_at_ms / 1000, UTC),
            decode_view_event(each.value),
        )
        for each in messages
    )
    outcomes = settle(received, {}, shipped_policy_on).values()
    verdicts = [str(each.verdict) for each in outcomes]
    assert {name: verdicts.count(name) for name in set(verdicts)} == dict(model.verdicts), f"seed {seed}"
    assert sum(str(each.billability) == "billable" for each in outcomes) == model.billable_views.total(), f"seed {seed}"
    assert set(model.verdicts) == {"counted", "duplicate", "conflict", "rejected", "late_review"}, "all kinds occur"


def test_the_model_notices_what_is_missing_and_what_is_there_twice() -> None:
    messages = log_of(1, 500)
    whole = recount(messages)
    assert recount(messages[1:]).verdicts.total() == whole.verdicts.total() - 1
    counted = next(each for each in messages if recount([each]).verdicts["counted"])
    again = LogMessage(2, 10_000, now_ms() + 10_000, counted.value)
    assert recount([*messages, again]).verdicts["duplicate"] == whole.verdicts["duplicate"] + 1
    assert recount([*messages, again]).views == whole.views


def test_the_intention_is_written_before_anything_can_be_sent() -> None:
    truth = StringIO()
    intents = Generator(random.Random(1), truth).take(50)
    written = [json.loads(line)["value"].encode("latin-1") for line in truth.getvalue().splitlines()]
    assert written == [each.value for each in intents]


def test_the_table_holds_the_newest_result_of_each_fault_and_seed(tmp_path: Path) -> None:
    results, document = tmp_path / "results.jsonl", tmp_path / "guarantees.md"
    places = "".join("\nold\n".join(place_of(name)) + "\n" for name in ("results", "soaks"))
    document.write_text(f"before\n{places}after\n")
    record(Outcome("one", 1, "fail", 10, None, ("views differ",)), results)
    record(Outcome("one", 1, "pass", 20, 1.5), results)
    record(Outcome("one", 2, "unknown", 5, None), results)
    assert len(recorded(results)) == 2
    soaks = tmp_path / "soaks.jsonl"
    record_soak(SOAK, soaks)
    write_document({"one": "It happens.", "never-run": "It does not."}, results, document, soaks)
    text = document.read_text()
    assert "| one | It happens. | 1 of 2 | 1, 2 | 25 | 1.5 s |" in text
    assert "| 7 | pass | 12,000 events in 20 min: 10/s of 10/s asked | broker killed 2x | 9.5 s | 44 |" in text
    assert "speed 50 MiB +1.0 MiB" in text
    assert "old" not in text
    assert "never-run" not in text
    assert text.startswith("before\n")
    assert text.endswith("after\n")


def test_no_folder_of_a_machine_is_recorded(tmp_path: Path) -> None:
    answer = f"details in {state_home()}/log/error.txt of {PROJECT}/jobs"
    record(Outcome("one", 1, "fail", 10, None, (answer,)), tmp_path / "results.jsonl")
    assert recorded(tmp_path / "results.jsonl")[0].differences == (
        "details in <state>/log/error.txt of <project>/jobs",
    )
    texts = [path.read_text() for path in (PROJECT / "docs" / "concepts").glob("*.jsonl")]
    assert texts
    assert not [
        match for text in texts for match in re.findall(r"(?<![<\w])/(?:home|root|work|tmp|var|opt)/\S{0,60}", text)
    ]


def test_a_document_without_a_place_for_the_results_is_refused(tmp_path: Path) -> None:
    document = tmp_path / "guarantees.md"
    document.write_text("nothing\n")
    with pytest.raises(CommandError, match="no place for the results"):
        write_document({}, tmp_path / "results.jsonl", document)


@pytest.mark.parametrize(("after_ms", "views"), [(0, 1), (2_000, 1), (2_999, 1), (3_000, 2), (9_000, 2)])
def test_an_id_is_known_in_its_own_generation_and_the_two_after_it(after_ms: int, views: int) -> None:
    begin_ms = now_ms() // 1_000 * 1_000
    event = {
        "event_id": "00000000-0000-4000-8000-000000000001",
        "video_id": "v",
        "user_id": "anna",
        "session_id": "s",
        "timestamp": datetime.fromtimestamp(begin_ms / 1000, UTC).isoformat(),
        "view_duration": 30,
        "revenue_eligible": True,
    }
    log = [LogMessage(0, index, begin_ms + at, json.dumps(event).encode()) for index, at in enumerate((0, after_ms))]
    assert views_within_horizon(log, 2_000)["v"] == views


@pytest.mark.parametrize("ending", [b',"video_id":"w"}', b',"more":NaN}', b',"more":"' + b"x" * 70_000 + b'"}'])
def test_the_model_refuses_what_the_contract_refuses(ending: bytes) -> None:
    good = next(each for each in log_of(1, 50) if recount([each]).verdicts["counted"])
    broken = LogMessage(0, 0, now_ms(), good.value[:-1] + ending)
    assert recount([broken]).verdicts == {"rejected": 1}
    assert not isinstance(decode_view_event(broken.value), ViewEvent)
