"""`./viewledger faults [NAME…]`: inject faults into real processes and compare every number with a reference model."""

import json
import logging
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace

from faults import (
    archive_faults,
    batch_faults,
    clock_faults,
    cluster_faults,
    collector_faults,
    compaction_faults,
    disk_faults,
    erasure_faults,
    event_faults,
    hand_over,
    hdfs_cluster_faults,
    hdfs_faults,
    kafka_faults,
    maintenance_faults,
    postgres_pair_faults,
    receipt_faults,
    redis_faults,
    redis_set_faults,
    resident_faults,
    speed_faults,
)
from faults.choosing import chosen, fresh_folder, listing
from faults.comparison import FAIL, PASS, UNKNOWN, Outcome, differences
from faults.guarantees import record, record_soak, soak_table, table, write_document
from faults.postgres_servers import postgres_pair
from faults.scene import DRAIN_SECONDS, Scene
from faults.servers import AllServers, Servers
from faults.soak import Soak
from faults.waiting import NotInTimeError
from ingestion.contract.printable import counted
from jobs.exit_codes import ExitCode

Fault = Callable[[Scene], None]
FAULTS: dict[str, Fault] = {
    **speed_faults.FAULTS,
    **redis_faults.FAULTS,
    **redis_set_faults.FAULTS,
    **collector_faults.FAULTS,
    **kafka_faults.FAULTS,
    **batch_faults.FAULTS,
    **maintenance_faults.FAULTS,
    **compaction_faults.FAULTS,
    **compaction_faults.ON_SMALL_DISKS,
    **erasure_faults.FAULTS,
    **resident_faults.FAULTS,
    **hand_over.FAULTS,
    **hdfs_faults.FAULTS,
    **hdfs_cluster_faults.FAULTS,
    **postgres_pair_faults.FAULTS,
    **archive_faults.FAULTS,
    **receipt_faults.FAULTS,
    **cluster_faults.FAULTS,
    **disk_faults.FAULTS,
    **clock_faults.FAULTS,
    **event_faults.FAULTS,
}
NEEDING_HDFS = {
    *kafka_faults.DURING_BATCH,
    *postgres_pair_faults.FAULTS,
    *batch_faults.FAULTS,
    *maintenance_faults.FAULTS,
    *compaction_faults.FAULTS,
    *erasure_faults.FAULTS,
    *resident_faults.FAULTS,
    *hand_over.FAULTS,
    *hdfs_faults.FAULTS,
    *archive_faults.FAULTS,
    *receipt_faults.FAULTS,
    *cluster_faults.FAULTS,
    *disk_faults.NEEDING_HDFS,
    *clock_faults.NEEDING_HDFS,
    *event_faults.NEEDING_HDFS,
}
ON_SMALL_DISKS = {*disk_faults.ON_SMALL_DISKS, *compaction_faults.ON_SMALL_DISKS}
DESCRIPTIONS = {name: (fault.__doc__ or "").splitlines()[0] for name, fault in FAULTS.items()}
QUICK = ("speed-killed-after-apply", "redis-tail-lost")
SOAK = "soak"
RECOVERY_SECONDS_MAX = 300.0
"""The promise for counts; the duration of batch runs after a fault depends on the machine."""


def run(
    *,
    names: Sequence[str],
    listed: bool,
    quick: bool,
    seeds: int,
    seed: int,
    minutes: int,
    rate: int,
    recorded: bool,
    as_json: bool,
) -> ExitCode:
    """Return OK if every run passed; DIFFERENCE if one failed or could not be drained."""
    if listed:
        print(listing(DESCRIPTIONS, as_json=as_json))
        return ExitCode.OK
    for noisy in ("kafka", "httpx", "httpcore"):
        logging.getLogger(noisy).setLevel(logging.CRITICAL)
    if list(names) == [SOAK]:
        return run_soak(seed, minutes, rate, recorded=recorded, as_json=as_json)
    wanted = QUICK if quick else chosen(names, FAULTS, "fault")
    outcomes: list[Outcome] = []
    folder = fresh_folder("faults", "stack", "small")
    with AllServers(folder, with_hdfs=bool(NEEDING_HDFS & set(wanted)), tell=tell) as servers:
        for name in wanted:
            for each in range(seed, seed + (1 if quick else seeds)):
                with Scene(servers_of(name, servers), folder / f"{name}-{each}", each) as scene:
                    outcomes.append(run_fault(scene, name))
                if recorded:
                    record(outcomes[-1])
                    write_document(DESCRIPTIONS)
    report(outcomes, as_json=as_json)
    return ExitCode.OK if all(each.verdict == PASS for each in outcomes) else ExitCode.DIFFERENCE


def run_soak(seed: int, minutes: int, rate: int, *, recorded: bool, as_json: bool) -> ExitCode:
    """Run `faults soak`."""
    folder = fresh_folder("faults", "stack", "small")
    with (
        AllServers(folder, with_hdfs=False, tell=tell) as servers,
        Scene(servers.usual(), folder / SOAK, seed) as scene,
    ):
        result = Soak(scene, minutes=minutes, rate=rate, tell=tell).run()
    if recorded:
        record_soak(result)
        write_document(DESCRIPTIONS)
    print(json.dumps(asdict(result), indent=1) if as_json else "\n".join(soak_table([result])))
    return ExitCode.OK if result.verdict == PASS else ExitCode.DIFFERENCE


def servers_of(name: str, servers: AllServers) -> Servers:
    """Return the servers that a fault needs."""
    if name in kafka_faults.ON_THREE_BROKERS:
        return servers.on_three_brokers()
    if name in hdfs_cluster_faults.FAULTS:
        return servers.on_hdfs_cluster()
    if name in postgres_pair_faults.FAULTS:
        return replace(servers.usual(), postgres_pair=postgres_pair)
    if name in redis_set_faults.SETS:
        return replace(servers.usual(), redis_set=redis_set_faults.SETS[name])
    return servers.on_small_disks() if name in ON_SMALL_DISKS else servers.usual()


def run_fault(scene: Scene, name: str) -> Outcome:
    """Inject one fault into a pipeline of its own, let it recover, and compare."""
    started, seed = time.monotonic(), scene.seed
    found: list[str] = []
    recovery: float | None = None
    verdict = PASS
    try:
        FAULTS[name](scene)
        if not scene.is_beyond_repair:
            recovery = _recovered(scene)
            found = differences(scene)
            if recovery > RECOVERY_SECONDS_MAX and not scene.batches.was_used:
                found.append(f"right again after {recovery:.0f} s; {RECOVERY_SECONDS_MAX:.0f} s are promised")
            verdict = FAIL if found else PASS
    except NotInTimeError as error:
        verdict, found = UNKNOWN, [str(error)]
    except AssertionError as error:
        verdict, found = FAIL, [str(error)]
    if scene.senders.sent.given_up:
        verdict, found = UNKNOWN, [*found, f"{scene.senders.sent.given_up} events were never acknowledged"]
    scene.notes.append(f"load {os.getloadavg()[0]:.0f} on {os.cpu_count()} processors")
    outcome = Outcome(name, seed, verdict, len(scene.mirror), recovery, tuple(found[:6]), tuple(scene.notes))
    seconds = time.monotonic() - started
    took = "" if recovery is None else f", right again after {recovery:.1f} s"
    tell(f"{name}, seed {seed}: {verdict}, {counted(outcome.events, 'event')}{took} ({seconds:.0f} s)")
    for each in found:
        tell(f"    {each}")
    return outcome


def _recovered(scene: Scene) -> float:
    """Wait until everything is counted and complete; return the seconds since the fault."""
    scene.send(50)  # traffic after the fault, so that being stuck is noticed
    scene.wait(scene.is_counted, "everything is counted and complete", DRAIN_SECONDS)
    return round(time.monotonic() - scene.hurt_at, 2)


def tell(text: str) -> None:
    """Print one line of progress."""
    print(f"faults: {text}", file=sys.stderr, flush=True)


def report(outcomes: Sequence[Outcome], *, as_json: bool) -> None:
    """Print the results."""
    if as_json:
        print(json.dumps([asdict(each) for each in outcomes], indent=1))
        return
    print("\n".join(table(outcomes, DESCRIPTIONS)))
