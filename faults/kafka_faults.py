"""Faults of Kafka. Those of `ON_THREE_BROKERS` run on a cluster of their own."""

import signal
import time
from datetime import UTC, datetime
from typing import Any

from kafka import KafkaProducer, TopicPartition

from batch_layer.run.ports import Warehouse
from faults.event_faults import event
from faults.kafka_cluster import NODES
from faults.kafka_topics import admin_of, leader_of
from faults.our_process import is_stopped
from faults.scene import Scene
from faults.taking_over import counts_again
from ingestion.contract.topics import PARTITION_COUNT
from jobs.resilience.failpoints import Action, before


def one_of_three_killed(scene: Scene) -> None:
    """SIGKILL to one broker of three under load; the others go on."""
    _killed(scene, 1)


def two_of_three_killed(scene: Scene) -> None:
    """SIGKILL to two brokers of three: nothing is acknowledged; clients get 503 and repeat the same ids."""
    _killed(scene, 2)


def all_killed(scene: Scene) -> None:
    """SIGKILL to all brokers at once."""
    _killed(scene, 3)


def _killed(scene: Scene, count: int) -> None:
    scene.start_ready("speed")
    with scene.traffic():
        scene.for_a_while(2)
        for node in scene.rng.sample(NODES, count):
            scene.cluster.kill(node)
        scene.hurt(f"SIGKILL to {count} of {len(NODES)} brokers")
        scene.for_a_while(6)
        scene.cluster.restore()
        scene.for_a_while(2)


def leader_hangs(scene: Scene) -> None:
    """SIGSTOP to a broker until its partitions have other leaders, then SIGCONT."""
    scene.start_ready("speed")
    with scene.traffic():
        scene.for_a_while(1)
        scene.cluster.signal(scene.rng.choice(NODES), signal.SIGSTOP)
        scene.hurt("SIGSTOP to a broker")
        scene.for_a_while(12)
        scene.cluster.restore()
        scene.for_a_while(1)


def leader_killed_during_batch(scene: Scene) -> None:
    """SIGKILL to the leader of a partition while events are sent and counted, as a batch run begins to read it."""
    scene.count(400)
    run = scene.batches.start(before(Warehouse.archive, Action.STOP))
    scene.wait(lambda: is_stopped(run.pid), "the run has stopped itself before it reads", 300)
    with scene.traffic():
        scene.for_a_while(scene.rng.uniform(1, 2))
        partition = scene.rng.randrange(PARTITION_COUNT)
        leader = leader_of(scene.bootstrap, scene.topic, partition)
        scene.cluster.kill(leader)
        scene.hurt(f"SIGKILL to broker {leader}, the leader of partition {partition}")
        run.send_signal(signal.SIGCONT)
        counts_again(scene)
    scene.notes.append(f"the run ended with {scene.batches.finish(run)}")
    scene.cluster.restore()
    scene.send(100)
    scene.batches.run()


def only_broker_killed(scene: Scene) -> None:
    """SIGKILL to the only broker under load; it restarts on its files."""
    scene.start_ready("speed")
    with scene.traffic():
        scene.for_a_while(1)
        before = scene.stack.kill("kafka")
        scene.hurt("SIGKILL to Kafka")
        scene.stack.wait_ready("kafka", not_pid=before)
        scene.for_a_while(1)


def only_broker_hangs(scene: Scene) -> None:
    """SIGSTOP to the only broker for longer than the acknowledgement time."""
    scene.start_ready("speed")
    with scene.traffic():
        scene.for_a_while(1)
        scene.stack.kill("kafka", signal.SIGSTOP)
        scene.hurt("SIGSTOP to Kafka")
        try:
            scene.for_a_while(9)
        finally:
            scene.stack.kill("kafka", signal.SIGCONT)
        scene.for_a_while(1)


def gaps_in_offsets(scene: Scene) -> None:
    """Transactional producers leave markers and aborted messages: offsets without an event."""
    scene.start_ready("speed")
    producer = KafkaProducer(
        bootstrap_servers=scene.bootstrap.split(","), acks="all", transactional_id=scene.name, enable_idempotence=True
    )
    try:
        producer.init_transactions()
        with scene.traffic():
            scene.hurt("transactions between other events")
            for _ in range(6):
                producer.begin_transaction()
                _send(scene, producer, 10)
                producer.commit_transaction()
                scene.for_a_while(0.2)
    finally:
        producer.close(timeout=5)


def _send(scene: Scene, producer: Any, count: int) -> None:
    for intent in (event(scene, datetime.now(UTC)) for _ in range(count)):
        scene.senders.sent.attempted_ids.add(str(intent.event_id))
        producer.send(scene.topic, intent.value, intent.video_id.encode())
        scene.senders.sent.acknowledged_ids.add(str(intent.event_id))
    producer.flush(timeout=10)


def retention_removed_unread(scene: Scene) -> None:
    """Retention removes uncounted events: the speed layer stops with an error and never skips them."""
    speed = scene.start_ready("speed")
    scene.send(400)
    scene.wait(scene.is_counted, "counted before the fault")
    speed.end()
    scene.send(600)
    ends = scene.highwaters()
    before = scene.positions()
    with admin_of(scene.bootstrap) as admin:
        admin.delete_records({TopicPartition(scene.topic, number): ends[number] for number in range(PARTITION_COUNT)})
    scene.hurt("records removed before they were counted")
    again = scene.start("speed")
    again.is_wanted = False
    deadline = time.monotonic() + 60
    while again.is_alive and time.monotonic() < deadline:
        scene.for_a_while(0.1)
    if again.child.poll() != 1:
        raise AssertionError(f"the speed process ended with {again.child.poll()} instead of 1")
    if scene.positions() != before:
        raise AssertionError("the speed layer jumped over events that were removed")
    printed = again.log.read_text()
    if "halted" not in printed or "Traceback" in printed:
        raise AssertionError(f"the halt is not said plainly: {printed[-300:]}")
    scene.is_beyond_repair = True


DURING_BATCH = {"kafka-leader-killed-during-batch": leader_killed_during_batch}
ON_THREE_BROKERS = {
    "kafka-one-of-three-killed": one_of_three_killed,
    "kafka-two-of-three-killed": two_of_three_killed,
    "kafka-all-killed": all_killed,
    "kafka-leader-hangs": leader_hangs,
    **DURING_BATCH,
}
FAULTS = {
    "kafka-only-broker-killed": only_broker_killed,
    "kafka-only-broker-hangs": only_broker_hangs,
    "kafka-gaps-in-offsets": gaps_in_offsets,
    "kafka-retention-removed-unread": retention_removed_unread,
    **ON_THREE_BROKERS,
}
