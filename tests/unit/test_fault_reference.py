"""The fault harness's reference model and its table; the model must agree with the product's own rule."""

import json
import random
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

import pytest

from ingestion.contract.counting import Received, settle
from ingestion.contract.decoding import decode_view_event
from jobs.errors import CommandError
from jobs.faults.comparison import Outcome
from jobs.faults.guarantees import BEGIN, END, record, recorded, write_document
from jobs.faults.reference import LogMessage, recount
from jobs.faults.traffic import Generator

NOW_MS = int(datetime.now(UTC).timestamp() * 1000)


def log_of(seed: int, count: int) -> list[LogMessage]:
    """A log as the harness makes it, on three partitions."""
    rng = random.Random(seed)
    generator = Generator(random.Random(seed), StringIO())
    intents = [each for _ in range(0, count, 50) for each in generator.take(50)]
    ends = [0, 0, 0]
    messages = []
    for number, intent in enumerate(intents):
        partition = rng.randrange(3)
        messages.append(LogMessage(partition, ends[partition], NOW_MS + number, intent.value))
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
    outcomes = settle(received, {}).values()
    verdicts = [str(each.verdict) for each in outcomes]
    assert {name: verdicts.count(name) for name in set(verdicts)} == dict(model.verdicts), f"seed {seed}"
    assert sum(str(each.billability) == "billable" for each in outcomes) == model.billable_views.total(), f"seed {seed}"
    assert set(model.verdicts) == {"counted", "duplicate", "conflict", "rejected", "late_review"}, "all kinds occur"


def test_the_model_notices_what_is_missing_and_what_is_there_twice() -> None:
    messages = log_of(1, 500)
    whole = recount(messages)
    assert recount(messages[1:]).verdicts.total() == whole.verdicts.total() - 1
    counted = next(each for each in messages if recount([each]).verdicts["counted"])
    again = LogMessage(2, 10_000, NOW_MS + 10_000, counted.value)
    assert recount([*messages, again]).verdicts["duplicate"] == whole.verdicts["duplicate"] + 1
    assert recount([*messages, again]).views == whole.views


def test_the_intention_is_written_before_anything_can_be_sent() -> None:
    truth = StringIO()
    intents = Generator(random.Random(1), truth).take(50)
    written = [json.loads(line)["value"].encode("latin-1") for line in truth.getvalue().splitlines()]
    assert written == [each.value for each in intents]


def test_the_table_holds_the_newest_result_of_each_fault_and_seed(tmp_path: Path) -> None:
    results, document = tmp_path / "results.jsonl", tmp_path / "guarantees.md"
    document.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    record(Outcome("one", 1, "fail", 10, None, ("views differ",)), results)
    record(Outcome("one", 1, "pass", 20, 1.5), results)
    record(Outcome("one", 2, "unknown", 5, None), results)
    assert len(recorded(results)) == 2
    write_document({"one": "It happens.", "never-run": "It does not."}, results, document)
    text = document.read_text()
    assert "| one | It happens. | 1 of 2 | 1, 2 | 25 | 1.5 s |" in text
    assert "old" not in text
    assert "never-run" not in text
    assert text.startswith("before\n")
    assert text.endswith("after\n")


def test_a_document_without_a_place_for_the_results_is_refused(tmp_path: Path) -> None:
    document = tmp_path / "guarantees.md"
    document.write_text("nothing\n")
    with pytest.raises(CommandError, match="no place for the results"):
        write_document({}, tmp_path / "results.jsonl", document)
