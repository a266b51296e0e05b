"""The fault harness on real servers: a quick subset of the faults, and proof that it notices what is wrong."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from kafka import KafkaProducer

from faults import command
from faults.redis_set_faults import SETS
from faults.scene import Scene
from faults.servers import Servers
from faults.traffic import VIDEOS
from faults.warm_driver import WarmDriver
from jobs.local_stack.stack import LocalStack, temporary_folder


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that Redis's account may enter."""
    with temporary_folder() as made:
        yield made


@pytest.fixture
def servers(stack: LocalStack, folder: Path) -> Servers:
    """The servers of all tests; no fault here does a batch run."""
    return Servers(stack, lambda: WarmDriver(folder / "warm-driver.log"))


@pytest.mark.parametrize("name", [*command.QUICK, "redis-cluster-master-killed"])
def test_after_a_fault_every_number_is_right_again(servers: Servers, folder: Path, name: str) -> None:
    with Scene(replace(servers, redis_set=SETS.get(name)), folder / name, seed=3) as scene:
        outcome = command.run_fault(scene, name)
    assert outcome.verdict == "pass", outcome
    assert outcome.events > 50
    assert outcome.recovery_seconds is not None


def one_view_too_many(scene: Scene) -> None:
    """A stranger adds a view in Redis by hand."""
    _honest(scene)
    with scene.redis.client() as client:
        (segment,) = client.keys(f"{{{scene.name}:0}}:segment:*")
        client.hincrby(segment, VIDEOS[0], 1)


def one_event_nobody_sent(scene: Scene) -> None:
    """An event is on the log that was never sent."""
    _honest(scene)
    event = next(each for each in scene.generator.take(100) if each.event_id)
    producer = KafkaProducer(bootstrap_servers=scene.bootstrap.split(","))
    producer.send(scene.topic, event.value, event.video_id.encode()).get(timeout=60)
    producer.close()


def one_acknowledged_event_lost(scene: Scene) -> None:
    """A sender believes that an event is safe which is not on the log."""
    _honest(scene)
    scene.senders.sent.acknowledged_ids.add("00000000-0000-4000-8000-000000000000")


def _honest(scene: Scene) -> None:
    scene.count(100)
    scene.hurt("nothing yet")


@pytest.mark.parametrize(
    ("sabotage", "answer"),
    [
        (one_view_too_many, "views of 1 video wrong, by +1"),
        (one_event_nobody_sent, "in the log, and sent by nobody: 1 event,"),
        (one_acknowledged_event_lost, "not in the log: 1 acknowledged event,"),
    ],
)
def test_what_is_wrong_is_noticed(
    servers: Servers, folder: Path, monkeypatch: pytest.MonkeyPatch, sabotage: command.Fault, answer: str
) -> None:
    monkeypatch.setitem(command.FAULTS, "sabotage", sabotage)
    with Scene(servers, folder / "sabotage", seed=4) as scene:
        outcome = command.run_fault(scene, "sabotage")
    assert outcome.verdict == "fail", outcome
    assert any(answer in each for each in outcome.differences), outcome.differences
