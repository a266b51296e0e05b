"""The procedure of maintenance on ports in memory: its order, its refusals, and a kill at any step."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from batch_layer.errors import RefusedError
from batch_layer.maintaining.compact import CompactionPorts
from batch_layer.maintaining.compaction import CompactionLimits, PartFiles, TableFiles
from batch_layer.maintaining.maintain import MaintenancePorts, MaintenanceResult, maintain_once
from batch_layer.maintaining.ports import Upkeep
from batch_layer.maintaining.prometheus_maintenance_metrics import PrometheusMaintenanceMetrics
from batch_layer.versions.ports import RunEntry
from ingestion.contract.offsets import OffsetVector
from ingestion.contract.unavailable import Part, UnavailableError
from ingestion.contract.version import PublishedVersion

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
GRACE = timedelta(hours=24)
STEPS = ("repair", "expire", "drop_tags", "expire_snapshots", "remove_orphans", "roll_up_next", "files")
LIMITS = CompactionLimits(debt_max=9, byte_count_max=9)


class KilledError(BaseException):
    """The process ends here."""


class World:
    """Three versions of which the rule no longer keeps the first two; every port notes what it does.

    `hurt` is called before each step of a port, by its name.
    """

    def __init__(self) -> None:
        self.now = NOON
        self.hurt: Callable[[str], None] = lambda step: None
        self.is_locked_elsewhere = False
        self.journal: dict[str, RunEntry] = {}
        self.states: dict[str, str] = {}
        self.tags = {1, 2, 3}
        self.snapshots = {1, 2, 3}
        self.files = {1, 2, 3}
        self.expirable = {1, 2}
        self.expired_at: dict[int, datetime] = {}
        self.rows = {1, 2, 3}
        self.recorded: list[Upkeep] = []
        self.recorded_files: Mapping[str, TableFiles] = {}
        self.current_version: PublishedVersion | None = version(3)

    def lock(self) -> bool:
        return not self.is_locked_elsewhere

    def current(self) -> PublishedVersion | None:
        return self.current_version

    def runs_in(self, state: str) -> list[str]:
        return [run_id for run_id, now in self.states.items() if now == state]

    def begin(self, entry: RunEntry) -> None:
        self.journal[entry.run_id], self.states[entry.run_id] = entry, "running"

    def end(self, run_id: str, state: str, detail: Mapping[str, Any]) -> None:
        self.states[run_id] = state

    def repair(self, current: PublishedVersion, kept_runs: Collection[str]) -> list[str]:
        self.hurt("repair")
        return []

    def expire(self, run_id: str) -> Sequence[int]:
        self.hurt("expire")
        found = sorted(self.expirable - self.expired_at.keys())
        self.expired_at |= dict.fromkeys(found, self.now)
        return found

    def expired(self, before: datetime) -> Sequence[int]:
        return [number for number, at in self.expired_at.items() if at < before]

    def current_at(self, instant: datetime) -> int:
        return 3

    def drop_tags(self, versions: Collection[int], superseded_by: int) -> int:
        self.hurt("drop_tags")
        assert set(versions) <= self.expired_at.keys(), "only what is on record as expired loses its tag"
        dropped = self.tags & set(versions)
        self.tags -= dropped
        return len(dropped)

    def expire_snapshots(self, before: datetime) -> int:
        self.hurt("expire_snapshots")
        gone = self.snapshots - self.tags
        self.snapshots -= gone
        return len(gone)

    def remove_orphans(self, before: datetime) -> int:
        self.hurt("remove_orphans")
        assert before <= self.now - timedelta(days=3)
        gone = self.files - self.snapshots
        self.files -= gone
        return len(gone)

    def roll_up_next(self, before: datetime) -> int | None:
        self.hurt("roll_up_next")
        gone = sorted(self.rows & set(self.expired(before)))
        self.rows -= set(gone[:1])
        return 3 if gone else None

    def upkeep(self) -> Upkeep:
        return Upkeep(3 - len(self.expired_at), 0, None)

    def snapshot_counts(self) -> Mapping[str, int]:
        return {"events": len(self.snapshots)}

    def files_at(self, snapshots: Mapping[str, int]) -> Sequence[PartFiles]:
        self.hurt("files")
        return [PartFiles("events", None, 2, 1, 7)]

    def record(
        self,
        upkeep: Upkeep,
        snapshot_counts: Mapping[str, int],
        files: Mapping[str, TableFiles],
        oldest_raw_on: date | None,
    ) -> None:
        self.recorded.append(upkeep)
        self.recorded_files = files

    def ports(self) -> MaintenancePorts:
        here: Any = self
        compaction: Any = CompactionPorts(SimpleNamespace(files=self.files_at), here, LIMITS, lambda: self.now)
        return MaintenancePorts(
            versions=here,
            expiry=here,
            tables=here,
            compaction=compaction,
            erasure=here,
            metrics=here,
            progress=lambda stage, text: None,
            clock=lambda: self.now,
            grace=GRACE,
        )

    def maintain(self) -> MaintenanceResult:
        return maintain_once(self.ports())


def version(number: int) -> PublishedVersion:
    return PublishedVersion(
        version=number, run_id=f"run-{number}", offsets=OffsetVector("video-views", (number,)), watermarks=(NOON,),
        snapshots={}, row_counts={}, content_hashes={}, day_rules={}, published_at=NOON,
    )  # fmt: skip


def test_what_expires_is_on_record_first_and_leaves_when_the_grace_is_over() -> None:
    world = World()
    assert world.maintain().expired == (1, 2)
    assert (world.tags, world.snapshots, world.rows) == ({1, 2, 3}, {1, 2, 3}, {1, 2, 3})
    world.now += GRACE + timedelta(minutes=1)
    later = world.maintain()
    assert (later.expired, later.dropped_tag_count, later.removed_file_count, later.rolled_up_count) == ((), 2, 2, 2)
    assert (world.tags, world.snapshots, world.files, world.rows) == ({3}, {3}, {3}, {3})
    assert set(world.states.values()) == {"done"}
    assert later.files_before == later.files_after == world.recorded_files == {"events": TableFiles(2, 1, 7, 2, 0)}
    assert later.version == 3
    assert {each.kind for each in world.journal.values()} == {"maintenance"}


@pytest.mark.parametrize("killed_at", STEPS)
def test_a_maintenance_that_was_killed_at_any_step_is_finished_by_the_next_one(killed_at: str) -> None:
    world = World()
    if killed_at != "expire":
        world.maintain()
        world.now += GRACE + timedelta(minutes=1)

    def kill(step: str) -> None:
        if step == killed_at:
            raise KilledError

    world.hurt = kill
    with pytest.raises(KilledError):
        world.maintain()
    assert "running" in world.states.values()
    world.hurt = lambda step: None
    world.maintain()
    world.now += GRACE + timedelta(minutes=1)
    world.maintain()
    assert (world.tags, world.snapshots, world.files, world.rows) == ({3}, {3}, {3}, {3})
    assert sorted(world.states.values()).count("failed") == 1
    assert "running" not in world.states.values()


@pytest.mark.parametrize("away_at", STEPS)
def test_a_server_that_goes_away_ends_the_run_as_failed_and_a_retry_does_the_rest(away_at: str) -> None:
    world = World()
    world.maintain()
    world.now += GRACE + timedelta(minutes=1)

    def away(step: str) -> None:
        if step == away_at:
            raise UnavailableError(Part.SPARK, "HDFS does not answer")

    world.hurt = away
    with pytest.raises(UnavailableError):
        world.maintain()
    assert world.runs_in("running") == []
    world.hurt = lambda step: None
    world.maintain()
    assert (world.tags, world.snapshots, world.rows) == ({3}, {3}, {3})


def test_beside_a_batch_run_or_before_the_first_version_it_refuses_and_does_nothing() -> None:
    world = World()
    world.is_locked_elsewhere = True
    with pytest.raises(RefusedError, match="a batch run or a maintenance is at work"):
        world.maintain()
    world.is_locked_elsewhere, world.current_version = False, None
    with pytest.raises(RefusedError, match="nothing is published yet"):
        world.maintain()
    assert world.journal == {}


def test_the_figures_say_what_has_piled_up(tmp_path: Path) -> None:
    path = tmp_path / "metrics" / "maintenance.prom"
    PrometheusMaintenanceMetrics(path, timedelta(days=400)).record(
        Upkeep(7, 2, NOON), {"events": 9}, {"events": TableFiles(40, 5, 1_000, 39, 2)}, NOON.date()
    )
    text = path.read_text()
    assert "viewledger_maintenance_kept_versions 7.0" in text
    assert "viewledger_maintenance_expirable_versions 2.0" in text
    assert f"viewledger_maintenance_oldest_expirable_timestamp_seconds {NOON.timestamp():.9e}"[:40] in text
    midnight = NOON.replace(hour=0).timestamp()
    assert f"viewledger_maintenance_oldest_raw_timestamp_seconds {midnight:.9e}"[:60] in text
    assert "viewledger_maintenance_raw_retention_seconds 3.456e+07" in text
    assert 'viewledger_maintenance_snapshots{table="events"} 9.0' in text
    assert 'viewledger_maintenance_compaction_debt_files{table="events"} 39.0' in text
    assert 'viewledger_maintenance_compaction_due_parts{table="events"} 2.0' in text
    assert 'viewledger_maintenance_delete_files{table="events"} 5.0' in text
