"""The batch tables on Iceberg and the engine on Spark: every step of a run on its own branch."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Protocol

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from batch_layer.archive.ports import Archived
from batch_layer.archive.spark_archive import RecordSource, append_raw, verify_archived
from batch_layer.gate.ports import GateReport
from batch_layer.gate.spark_gate_sums import Subject
from batch_layer.judging.ports import CatalogueFacts
from batch_layer.judging.spark_accepted import accepted_rows, touched_days, with_accepted
from batch_layer.judging.spark_billability import RulesByDay, facts_frame
from batch_layer.judging.spark_decode import COLUMNS, decode
from batch_layer.judging.spark_derived import (
    changed_totals,
    merge_totals,
    rejected_events,
    tally,
    verdict_counts,
    views_by_detail,
    views_by_video_day,
)
from batch_layer.judging.spark_judging import DayJudge, judge_touched
from batch_layer.lake.content import Content
from batch_layer.lake.iceberg_tables import IcebergTables, branch_of, branch_target
from batch_layer.lake.spark_errors import translated
from batch_layer.lake.tables import (
    EVENTS,
    RAW_EVENTS,
    REJECTED_EVENTS,
    TALLY,
    VIEWS_BY_DETAIL,
    VIEWS_BY_VIDEO,
    VIEWS_BY_VIDEO_DAY,
)
from batch_layer.run.ports import Judgement, TableContents
from batch_layer.run.spark_contents import branch_contents
from batch_layer.run.spark_rebuild import Difference, Recount
from batch_layer.versions.day_changes import DayChange
from batch_layer.versions.ports import VideoCount
from batch_layer.versions.spark_day_changes import day_changes
from ingestion.contract.event_contracts import EventContracts
from ingestion.contract.offsets import LogPlace, OffsetRange, OffsetVector
from ingestion.contract.policy import POLICIES, CountingPolicy, policy_on
from ingestion.contract.version import DayRules, PublishedVersion

BY_DAY = (EVENTS, TALLY, VIEWS_BY_VIDEO_DAY, VIEWS_BY_DETAIL)
"""The tables in which a run replaces whole event days."""


class Gate(Protocol):
    """Checks a branch; see `gx_gate.judge`."""

    def __call__(self, spark: SparkSession, subject: Subject, run_id: str, folder: Path) -> GateReport:
        """Check every expectation and write the report into `folder`."""


@dataclass
class _Work:
    """The state that the steps of one run hand on to the next."""

    run_id: str
    branch: str
    base: PublishedVersion | None
    starts: Mapping[str, int]
    judged: frozenset[date] = frozenset()
    rules: Mapping[date, DayRules] = field(default_factory=dict)
    sent: Content = field(default_factory=Content)
    """The content of the records sent to the raw events."""
    raw: DataFrame | None = None
    moved: DataFrame | None = None
    """Stored late events that a decision moves to another day, as they were."""
    decoded: DataFrame | None = None
    totals: DataFrame | None = None


class SparkWarehouse:
    """See the port `Warehouse`. One run at a time."""

    def __init__(
        self,
        spark: SparkSession,
        source: RecordSource,
        catalogue: CatalogueFacts,
        *,
        reports: Path,
        gate: Gate,
        policies: tuple[CountingPolicy, ...] = POLICIES,
    ) -> None:
        self._spark, self._source, self._catalogue = spark, source, catalogue
        self._reports, self._gate, self._policies = reports, gate, policies
        self._work: _Work | None = None
        self.tables = IcebergTables(spark)

    @translated
    def repair(self, current: PublishedVersion | None, kept_runs: Collection[str]) -> list[str]:
        """See the port."""
        self.tables.create_missing()
        self.tables.drop_branches("run_", keep={branch_of(run_id) for run_id in kept_runs})
        return self.tables.move_main(current.snapshots) if current else []

    @translated
    def open_branch(self, run_id: str, base: PublishedVersion | None) -> None:
        """See the port."""
        self._spark.catalog.clearCache()
        branch = branch_of(run_id)
        starts = self.tables.open_branch(branch, base.snapshots if base else {})
        self._work = _Work(run_id, branch, base, starts)

    @translated
    def archive(self, start: OffsetVector, ranges: Sequence[OffsetRange], end: OffsetVector) -> Archived:
        """See the port."""
        work = self._working
        if not ranges:
            return Archived({}, {})
        file_count = self._spark.sparkContext.defaultParallelism
        records = self._source.read(start, end)
        work.sent = append_raw(records, branch=work.branch, run_id=work.run_id, file_count=file_count)
        work.raw = self._appended(RAW_EVENTS)
        return verify_archived(work.raw, ranges)

    @translated
    def judge(self, accepted: Collection[LogPlace], contracts: EventContracts) -> Judgement:
        """See the port."""
        work = self._working
        read, stored = decode(self._appended(RAW_EVENTS), contracts).persist(), self._at_start(EVENTS)
        unknown_country_count = read.where("is_country_unknown").count()
        decoded = read.select(*COLUMNS)
        if accepted:
            work.moved = accepted_rows(self._spark, stored, accepted).persist()
            stored = with_accepted(stored, work.moved)
            decoded = with_accepted(decoded, accepted_rows(self._spark, decoded, accepted))
        work.decoded = decoded
        touched = touched_days(decoded, work.moved)
        former = work.base.day_rules if work.base else {}
        latest = self._catalogue.latest_version()

        def rules_for(days: Collection[date]) -> RulesByDay:
            return RulesByDay({day: policy_on(day, self._policies) for day in days}, dict.fromkeys(days, latest))

        judge = DayJudge(self._spark, stored, decoded, frozenset(former), rules_for, self._facts({latest}))
        work.judged = judge_touched(judge, touched, self._write_events)
        judged_now = {day: DayRules(policy_on(day, self._policies).version, latest) for day in work.judged}
        work.rules = {**former, **judged_now}
        return Judgement(touched, work.judged, work.rules, unknown_country_count)

    @translated
    def derive(self) -> None:
        """See the port."""
        work = self._working
        days = F.col("event_day").isin(sorted(work.judged))
        events = self._on_branch(EVENTS).where(days)
        tally(events).writeTo(branch_target(TALLY, work.branch)).overwrite(days)
        views_by_detail(events).writeTo(branch_target(VIEWS_BY_DETAIL, work.branch)).overwrite(days)
        detail = self._on_branch(VIEWS_BY_DETAIL).where(days)
        views_by_video_day(detail).writeTo(branch_target(VIEWS_BY_VIDEO_DAY, work.branch)).overwrite(days)
        before, now = (
            rows.where(days) for rows in (self._at_start(VIEWS_BY_VIDEO_DAY), self._on_branch(VIEWS_BY_VIDEO_DAY))
        )
        work.totals = changed_totals(before, now, self._at_start(VIEWS_BY_VIDEO)).persist()
        merge_totals(work.totals, branch_target(VIEWS_BY_VIDEO, work.branch))
        if work.decoded is not None and work.raw is not None:
            rejected = rejected_events(work.decoded, work.raw).coalesce(1)
            rejected.writeTo(branch_target(REJECTED_EVENTS, work.branch)).append()

    @translated
    def contents(self) -> TableContents:
        """See the port. Reads the judged days and the appended rows; the rest is known from the base version."""
        work = self._working
        days = F.col("event_day").isin(sorted(work.judged))
        new = {name: self._on_branch(name).where(days) for name in BY_DAY}
        old = {name: self._at_start(name).where(days) for name in BY_DAY}
        new[RAW_EVENTS] = self._appended(RAW_EVENTS).select("*", "_file")
        new[REJECTED_EVENTS] = self._appended(REJECTED_EVENTS)
        changed = self._totals.select("video_id")
        new[VIEWS_BY_VIDEO] = self._on_branch(VIEWS_BY_VIDEO).join(changed, "video_id", "left_semi")
        old[VIEWS_BY_VIDEO] = self._at_start(VIEWS_BY_VIDEO).join(changed, "video_id", "left_semi")
        found = branch_contents(self._spark, new, old, work.sent)
        total = found.added_to(work.base)
        return TableContents(
            snapshots=self.tables.heads(work.branch),
            row_counts={name: each.row_count for name, each in total.items()},
            content_hashes={name: each.text for name, each in total.items()},
            verdict_counts=verdict_counts(self._on_branch(TALLY)),
            archived=found.archived,
            differences=found.differences,
        )

    @translated
    def check(self, offsets: OffsetVector, archived: Archived) -> GateReport:
        """See the port."""
        work = self._working
        days = F.col("event_day").isin(sorted(work.judged))
        subject = Subject(
            events=self._on_branch(EVENTS).where(days),
            rejected=self._appended(REJECTED_EVENTS),
            detail=self._on_branch(VIEWS_BY_DETAIL).where(days),
            by_day=self._on_branch(VIEWS_BY_VIDEO_DAY).where(days),
            changed_totals=self._on_branch(VIEWS_BY_VIDEO).join(
                self._totals.select("video_id"), "video_id", "left_semi"
            ),
            expected_totals=self._totals.where("views > 0"),
            tally=self._on_branch(TALLY),
            former_tally=self._at_start(TALLY),
            moved=work.moved,
            judged_days=work.judged,
            former_offsets=work.base.offsets if work.base else None,
            offsets=offsets,
            archived=archived,
        )
        return self._gate(self._spark, subject, work.run_id, self._reports / work.run_id)

    @translated
    def changed_counts(self) -> list[VideoCount]:
        """See the port."""
        rows = self._totals.toArrow().to_pylist()
        return [VideoCount(row["video_id"], row["views"], row["billable_views"]) for row in rows]

    @translated
    def changed_days(self) -> Iterator[DayChange]:
        """See the port."""
        return day_changes(self._at_start(EVENTS), self._on_branch(EVENTS), self._working.judged)

    @translated
    def tag(self, version: int, snapshots: Mapping[str, int]) -> None:
        """See the port."""
        self.tables.tag(f"v{version}", snapshots)

    @translated
    def differences_of_rebuild(
        self, version: PublishedVersion, accepted: Collection[LogPlace], run_id: str
    ) -> list[Difference]:
        """See the port."""
        self._spark.catalog.clearCache()
        recount = Recount(
            spark=self._spark,
            tables=self.tables,
            version=version,
            accepted=accepted,
            branch=branch_of(run_id),
            policies={policy.version: policy for policy in self._policies},
            facts=self._facts({rules.catalogue_version for rules in version.day_rules.values()}),
        )
        recount.write()
        found = recount.differences()
        recount.drop()
        return found

    @translated
    def finish(self, version: PublishedVersion) -> None:
        """See the port."""
        self.tables.move_main(version.snapshots)
        self.tables.drop_branch(branch_of(version.run_id))
        self._spark.catalog.clearCache()

    @property
    def _working(self) -> _Work:
        if self._work is None:
            raise RuntimeError("open_branch comes first")
        return self._work

    @property
    def _totals(self) -> DataFrame:
        if self._working.totals is None:
            raise RuntimeError("derive comes first")
        return self._working.totals

    def _write_events(self, judged: DataFrame, days: frozenset[date]) -> DataFrame:
        columns = self._at_start(EVENTS).columns
        target = branch_target(EVENTS, self._working.branch)
        judged.select(*columns).writeTo(target).overwrite(F.col("event_day").isin(sorted(days)))
        return self._on_branch(EVENTS)

    def _facts(self, versions: Collection[int]) -> DataFrame:
        return facts_frame(self._spark, self._catalogue.facts(versions))

    def _appended(self, name: str) -> DataFrame:
        work = self._working
        head = self.tables.heads(work.branch)[name]
        if head == work.starts[name]:
            return self.tables.at(name, head).limit(0)
        return self.tables.between(name, work.starts[name], head)

    def _on_branch(self, name: str) -> DataFrame:
        return self.tables.on_branch(name, self._working.branch)

    def _at_start(self, name: str) -> DataFrame:
        return self.tables.at(name, self._working.starts[name])
