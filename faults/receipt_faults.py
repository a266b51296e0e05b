"""An operator removes an accepted event before it is counted. Nothing but its receipt can show it."""

import json
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import TopicAlreadyExistsError

from faults.event_faults import event
from faults.kafka_topics import admin_of, make_topics
from faults.scene import Scene
from faults.traffic import PLAYER
from ingestion.contract.topics import PARTITION_COUNT
from jobs.exit_codes import ExitCode

EVENTS = 30
SETTLED_SECONDS = 65
"""A receipt is compared with versions that cover its instant and a minute more."""


def receipted_event_removed(scene: Scene) -> None:
    """The topic is written again without one accepted event: all numbers agree, and its receipt names it."""
    scene.wait(scene.collector.is_ready, "the collector is ready")
    receipts = [_receipt(scene) for _ in range(EVENTS)]
    removed = scene.rng.choice(receipts)["events"][0]
    scene.collector.end()
    _write_again_without(scene, removed["event_id"])
    scene.hurt(f"topic written again without {removed['event_id']}")
    scene.start_ready("speed")
    scene.wait(scene.is_counted, "counted")
    scene.for_a_while(SETTLED_SECONDS)
    scene.batches.run()
    _expect(scene, ExitCode.OK, "reconcile", "--json")
    others = [each for each in receipts if each["events"][0] is not removed]
    kept = [scene.folder / "receipts-of-others.jsonl", scene.folder / "receipts.jsonl"]
    for file, lines in zip(kept, (others, receipts), strict=True):
        file.write_text("".join(json.dumps(each) + "\n" for each in lines))
    found = json.loads(_expect(scene, ExitCode.OK, "receipts", "check", str(kept[0]), "--json"))
    if (found["in_log"], found["not_settled"], found["wrong"]) != (EVENTS - 1, 0, 0):
        raise AssertionError(f"of the events that are left, the check found {found}")
    printed = _expect(scene, ExitCode.DIFFERENCE, "receipts", "check", str(kept[1]))
    named = [line for line in printed.splitlines() if removed["event_id"] in line]
    if len(named) != 1 or "has no verdict" not in named[0] or str(kept[1]) not in named[0]:
        raise AssertionError(f"the check did not name the event once, with its receipt: {printed[-400:]}")
    _expect_cut_file(scene, kept[0])
    scene.is_beyond_repair = True


def _receipt(scene: Scene) -> dict[str, Any]:
    """Send one event over HTTP; return its receipt."""
    happened_at = datetime.now(UTC) - timedelta(seconds=scene.rng.uniform(1, 7_000))
    answer = httpx.post(
        f"http://127.0.0.1:{scene.collector.port}/v1/events",
        content=event(scene, happened_at, user_id=str(uuid.UUID(int=scene.rng.getrandbits(128)))).value,
        headers={"Content-Type": "application/json", "User-Agent": PLAYER, "Receipt": "yes"},
        timeout=12,
    )
    if answer.status_code != httpx.codes.ACCEPTED or "receipt" not in answer.json():
        raise AssertionError(f"the collector answered {answer.status_code} without a receipt: {answer.text[:200]}")
    receipt: dict[str, Any] = answer.json()["receipt"]
    return receipt


def _write_again_without(scene: Scene, event_id: str) -> None:
    """Make the topic again with all its messages but one, as somebody may who has rights on the brokers."""
    partitions = [TopicPartition(scene.topic, number) for number in range(PARTITION_COUNT)]
    consumer = KafkaConsumer(bootstrap_servers=scene.bootstrap.split(","), enable_auto_commit=False)
    consumer.assign(partitions)
    consumer.seek_to_beginning(*partitions)
    ends, messages = consumer.end_offsets(partitions), list[Any]()
    while len(messages) < sum(ends.values()):
        messages += [each for records in consumer.poll(timeout_ms=500).values() for each in records]
    consumer.close()
    with admin_of(scene.bootstrap) as admin:
        admin.delete_topics([scene.topic])
    scene.wait(lambda: _is_made(scene), "the topic is made again")
    producer = KafkaProducer(bootstrap_servers=scene.bootstrap.split(","), acks="all")
    for each in messages:
        if event_id.encode() not in each.value:
            producer.send(scene.topic, each.value, each.key, partition=each.partition)
    producer.flush(timeout=20)
    producer.close(timeout=5)


def _is_made(scene: Scene) -> bool:
    try:
        make_topics(scene.bootstrap, {scene.topic: PARTITION_COUNT})
    except TopicAlreadyExistsError:  # the deletion is not done yet
        return False
    return True


def _expect_cut_file(scene: Scene, whole: Path) -> None:
    """Check that a file that was cut off within a receipt is said to be, and the rest of it checked."""
    cut = scene.folder / "receipts-cut.jsonl"
    cut.write_bytes(whole.read_bytes()[:-200])
    if "the file was cut off" not in _expect(scene, ExitCode.BAD_INPUT, "receipts", "check", str(cut)):
        raise AssertionError("the check of a file that was cut off does not say so")


def _expect(scene: Scene, expected: int, *words: str) -> str:
    done = scene.run_program("jobs.cli", *words)
    if done.returncode != expected or "Traceback" in done.stderr:
        raise AssertionError(
            f"{' '.join(words)} ended with {done.returncode} instead of {expected}: {done.stderr[-400:]}"
        )
    return done.stdout


FAULTS = {"receipted-event-removed": receipted_event_removed}
