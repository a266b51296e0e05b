"""Faults of a batch run, and of its servers while it works. Each needs HDFS and several cold runs of Spark."""

import signal

from kafka import TopicPartition

from batch_layer.archive.ports import SpeedCut
from batch_layer.lake.tables import EVENTS, TALLY, VIEWS_BY_DETAIL, VIEWS_BY_VIDEO, VIEWS_BY_VIDEO_DAY
from batch_layer.run.ports import Warehouse
from batch_layer.versions.ports import VersionStore
from faults.kafka_topics import admin_of
from faults.our_process import is_stopped
from faults.postgres_database import administer, queries
from faults.scene import Scene
from jobs.exit_codes import ExitCode
from jobs.resilience.failpoints import CALLS, Action, after, before

KILLED = -signal.SIGKILL
KILLS_PER_SEED = 4
JUDGED_BY_GATE = (EVENTS, TALLY, VIEWS_BY_DETAIL, VIEWS_BY_VIDEO_DAY, VIEWS_BY_VIDEO)


def killed_at_every_step(scene: Scene) -> None:
    """SIGKILL to the driver before or after a step, four steps a seed; then a run that must count everything once."""
    points = [moment(call, Action.KILL) for call in CALLS["batch"] for moment in (before, after)]
    scene.start_ready("speed")
    for number in range(KILLS_PER_SEED):
        point = points[(scene.seed * KILLS_PER_SEED + number) % len(points)]
        scene.send(150)
        scene.wait(scene.is_counted, "counted")
        scene.hurt(point)
        scene.batches.finish(scene.batches.start(point), KILLED)
        scene.send(50)
    scene.batches.run()


def server_fails_in_the_middle(scene: Scene) -> None:
    """A step fails as if a server went away: the run is retried automatically and publishes."""
    scene.count(300)
    scene.hurt("the archive step fails once")
    scene.batches.finish(scene.batches.start(after(Warehouse.archive, Action.FAIL)))


def two_at_once(scene: Scene) -> None:
    """Two runs are started at the same time: one is refused, the other publishes."""
    scene.count(300)
    scene.hurt("two runs at once")
    runs = [scene.batches.start(), scene.batches.start()]
    codes = sorted(scene.batches.finish(each, None) for each in runs)
    if codes != [ExitCode.OK, ExitCode.REFUSED]:
        raise AssertionError(f"two runs at once ended with {codes}, expected one 0 and one 5")


def older_run_ends_last(scene: Scene) -> None:
    """A run hangs before it publishes and loses its lock, a newer one publishes; the older one must be refused."""
    scene.count(300)
    older = scene.batches.start(before(VersionStore.publish, Action.STOP), attempts=1)
    scene.wait(lambda: is_stopped(older.pid), "the older run has stopped itself", 200)
    scene.hurt("a run stopped before it published; its connections are ended")
    administer(
        scene.postgres_url,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )
    scene.send(100)
    scene.batches.run()
    older.send_signal(signal.SIGCONT)
    code = scene.batches.finish(older, None)
    if code == ExitCode.OK:
        raise AssertionError("the older run published after the newer one")
    scene.notes.append(f"the older run ended with {code}")


def cut_lost_with_redis(scene: Scene) -> None:
    """The cut is made, then Redis loses it with its newest writes, and the run publishes the vector nevertheless."""
    scene.count(400)
    run = scene.batches.start(after(SpeedCut.cut, Action.STOP))
    scene.wait(lambda: is_stopped(run.pid), "the run has stopped itself after the cut", 200)
    scene.redis.kill()
    lost = scene.redis.lose_tail(scene.rng.uniform(0.2, 0.7))
    scene.redis.start()
    scene.hurt(f"the last {lost} bytes of Redis's file lost after the cut")
    scene.send(100)
    run.send_signal(signal.SIGCONT)
    scene.batches.finish(run)


def commit_without_answer(scene: Scene) -> None:
    """The connection to PostgreSQL is lost during COMMIT of the publication: the outcome is unknown to the run."""
    scene.count(300)
    run = scene.batches.start(before(VersionStore.publish, Action.STOP))
    scene.wait(lambda: is_stopped(run.pid), "the run has stopped itself", 200)
    scene.postgres_proxy.cut_after(b"COMMIT")
    run.send_signal(signal.SIGCONT)
    scene.hurt("COMMIT done and not answered")
    code = scene.batches.finish(run, None)
    scene.notes.append(f"the run ended with {code}")
    scene.send(100)
    scene.batches.run()


def postgres_killed(scene: Scene) -> None:
    """SIGKILL to PostgreSQL while a run works; the API answers from its cache meanwhile."""
    scene.count(300)
    run = scene.batches.start()
    scene.for_a_while(scene.rng.uniform(8, 30))
    killed = scene.stack.kill("postgres")
    scene.hurt("SIGKILL to PostgreSQL")
    scene.stack.wait_ready("postgres", not_pid=killed)
    scene.notes.append(f"the run ended with {scene.batches.finish(run, None)}")
    scene.batches.run()


def staged_counts_lost(scene: Scene) -> None:
    """PostgreSQL is killed when a run has stored its counts to publish them: they are lost, and stored again."""
    scene.count(300)
    run = scene.batches.start(before(VersionStore.publish, Action.STOP))
    scene.wait(lambda: is_stopped(run.pid), "the run has stopped itself before it published", 200)
    ((staged_count,),) = queries(scene.postgres_url, "SELECT count(*) FROM staging.video_counts")
    killed = scene.stack.kill("postgres")
    scene.stack.wait_ready("postgres", not_pid=killed)
    ((left_count,),) = queries(scene.postgres_url, "SELECT count(*) FROM staging.video_counts")
    if not staged_count or left_count:
        raise AssertionError(f"{staged_count} counts were stored and {left_count} are left after SIGKILL to PostgreSQL")
    run.send_signal(signal.SIGCONT)
    scene.hurt(f"SIGKILL to PostgreSQL before it published {staged_count} stored counts")
    scene.notes.append(f"the run ended with {scene.batches.finish(run, None)}")
    scene.send(100)
    scene.batches.run()


def gate_refuses(scene: Scene) -> None:
    """A stranger writes to a run's branch before the gate checks it: nothing is published, the next run publishes."""
    from batch_layer.lake.iceberg_tables import branch_of  # with Spark, for which `--list` need not wait

    scene.count(200)
    scene.batches.run()
    published = scene.published()
    scene.send(150)
    scene.wait(scene.is_counted, "counted")
    run = scene.batches.start(before(Warehouse.check, Action.STOP))
    scene.wait(lambda: is_stopped(run.pid), "the run has stopped itself before the gate", 200)
    ((run_id,),) = queries(scene.postgres_url, "SELECT run_id FROM published.runs WHERE state = 'running'")
    table = scene.rng.choice(JUDGED_BY_GATE)
    if scene.run_program("faults.append_again", table, branch_of(run_id)).returncode != ExitCode.OK:
        raise AssertionError(f"the rows of {table} could not be doubled in the branch of {run_id}")
    run.send_signal(signal.SIGCONT)
    scene.hurt(f"the rows of {table} doubled in the branch of a run")
    scene.batches.finish(run, ExitCode.GATE_FAILED)
    if scene.published() != published:
        raise AssertionError(f"the gate refused, and yet {scene.published()} was published after {published}")
    printed = scene.batches.printed()
    if "Traceback" in printed or "index.html" not in printed:
        raise AssertionError(f"the refusal does not name the gate's report: {printed[-300:]}")
    scene.batches.run()


def offsets_removed(scene: Scene) -> None:
    """Retention removed events that no version covers: a run refuses and names the partition; nothing is published."""
    scene.count(300)
    ends = scene.highwaters()
    with admin_of(scene.bootstrap) as admin:
        admin.delete_records({TopicPartition(scene.topic, 0): ends[0]})
    scene.hurt("records removed that no version covers")
    code = scene.batches.finish(scene.batches.start(attempts=1), None)
    printed = scene.batches.printed()
    if code == ExitCode.OK or scene.published() is not None:
        raise AssertionError(f"the run ended with {code} and published {scene.published()}")
    if "Traceback" in printed or "partition 0" not in printed:
        raise AssertionError(f"the refusal does not name the partition: {printed[-300:]}")
    scene.is_beyond_repair = True


FAULTS = {
    "batch-killed-at-every-step": killed_at_every_step,
    "batch-server-fails": server_fails_in_the_middle,
    "batch-two-at-once": two_at_once,
    "batch-older-run-ends-last": older_run_ends_last,
    "batch-cut-lost-with-redis": cut_lost_with_redis,
    "batch-commit-without-answer": commit_without_answer,
    "batch-staged-counts-lost": staged_counts_lost,
    "batch-gate-refuses": gate_refuses,
    "batch-offsets-removed": offsets_removed,
    "postgres-killed-during-batch": postgres_killed,
}
