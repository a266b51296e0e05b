"""Full disks, one at a time: nothing unsafe is acknowledged, counted or published; with space all continues."""

import time

import psycopg2

from faults.postgres_database import administer
from faults.scene import Scene
from faults.small_disk import ROOM_KIB
from jobs.exit_codes import ExitCode

FULL_SECONDS = 20.0
"""Longer than the first restarts of a supervisor."""
SCRATCH_FULL_KIB = 48


def kafka_disk_full(scene: Scene) -> None:
    """The disk of the only broker is full: nothing is acknowledged, the broker ends itself; it comes back."""
    disk = scene.disks["kafka"]
    scene.start_ready("speed")
    with scene.traffic(2_000):
        scene.for_a_while(1)
        disk.leave(scene.rng.randint(50, 400))
        try:
            scene.wait(lambda: _acknowledges_nothing(scene), "the disk is full", 120)
            scene.hurt("the broker's disk is full")
            scene.for_a_while(FULL_SECONDS)
        finally:
            disk.resize(ROOM_KIB)
        scene.stack.wait_ready("kafka")
        scene.for_a_while(2)


def _acknowledges_nothing(scene: Scene) -> bool:
    before = len(scene.senders.sent.acknowledged_ids)
    scene.for_a_while(3)
    return len(scene.senders.sent.acknowledged_ids) == before


def postgres_disk_full(scene: Scene) -> None:
    """The disk of PostgreSQL is full repeatedly while a run works: PostgreSQL ends itself and comes back."""
    disk = scene.disks["postgres"]
    scene.count(300)
    run = scene.batches.start(attempts=1)
    disk.leave(scene.rng.randint(0, 8_000))
    try:
        _fill_log(scene)
        scene.hurt("the disk of PostgreSQL is full")
        full_until = time.monotonic() + FULL_SECONDS
        while time.monotonic() < full_until:
            scene.for_a_while(0.5)
            _fill_log(scene)  # the space that a restart freed
    finally:
        disk.resize(ROOM_KIB)
    scene.stack.wait_ready("postgres", within_seconds=120)
    scene.notes.append(f"the run ended with {scene.batches.finish(run, None)}")
    scene.batches.run()


def _fill_log(scene: Scene) -> None:
    """Write into PostgreSQL's write-ahead log until it refuses or goes away: its next file had no space."""
    for _ in range(1_000):
        try:
            administer(scene.postgres_url, "SELECT pg_logical_emit_message(true, 'faults', repeat('x', 1000000))")
        except psycopg2.Error:
            return
    raise AssertionError("the disk of PostgreSQL did not fill up")


def hdfs_disk_full(scene: Scene) -> None:
    """The disk of the DataNode is full while a run works: nothing is published from data that could not be written."""
    disk = scene.disks["hdfs"]
    scene.count(300)
    run = scene.batches.start()
    scene.for_a_while(scene.rng.uniform(8, 25))
    disk.leave(0)
    scene.hurt("the disk of the DataNode is full")
    try:
        scene.for_a_while(FULL_SECONDS)
    finally:
        disk.resize(ROOM_KIB)
    scene.notes.append(f"the run ended with {scene.batches.finish(run, None)}")
    scene.stack.wait_ready("datanode", within_seconds=120)
    scene.batches.run()


def spark_disk_full(scene: Scene) -> None:
    """The disk of Spark's scratch files is full: the run reports it and publishes nothing; the next one publishes."""
    scratch = scene.small_disk("scratch", SCRATCH_FULL_KIB, "batch")
    scene.count(300)
    scene.hurt(f"Spark has a scratch disk of {SCRATCH_FULL_KIB} KiB")
    changes = {"SPARK_LOCAL_DIRS": str(scratch.folder)}
    code = scene.batches.finish(scene.batches.start(attempts=1, changes=changes), None)
    printed = scene.batches.printed()
    if code != ExitCode.UNAVAILABLE or "space" not in printed or scene.published() is not None:
        raise AssertionError(f"the run ended with {code}, published {scene.published()} and said {printed[-300:]}")
    scratch.resize(ROOM_KIB)
    scene.batches.finish(scene.batches.start(attempts=1, changes=changes))


ON_SMALL_DISKS = {
    "kafka-disk-full": kafka_disk_full,
    "postgres-disk-full": postgres_disk_full,
    "hdfs-disk-full": hdfs_disk_full,
}
FAULTS = {**ON_SMALL_DISKS, "spark-disk-full": spark_disk_full}
NEEDING_HDFS = ("spark-disk-full",)
"""The others have servers of their own."""
