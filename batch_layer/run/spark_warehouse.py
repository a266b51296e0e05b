"""The batch tables on Iceberg and the engine on Spark: every step of a run on its own branch."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from batch_layer.archive.ports import Archived
from batch_layer.archive.removals import Removals
from batch_layer.archive.spark_archive import RecordSource, append_raw, verify_archived
from batch_layer.gate.ports import GateReport
from batch_layer.gate.spark_gate_sums import Gate, Subject
from batch_layer.judging.batch_keys import BatchKeys
from batch_layer.judging.spark_aggregates import last_totals
from batch_layer.judging.spark_catalogue import CatalogueFacts
from batch_layer.judging.spark_facts import catalogue_of, policies_of
from batch_layer.judging.spark_revoked_keys import nowhere, place_at
from batch_layer.judging.spark_traffic_groups import groups_of, undisturbed
from batch_layer.judging.traffic_rules import NO_TRAFFIC_RULES, TrafficRules
from batch_layer.lake.aggregates import SERVED
from batch_layer.lake.content import Content
from batch_layer.lake.iceberg_tables import IcebergTables, branch_of
from batch_layer.lake.spark_errors import translated
from batch_layer.lake.tables import RAW_EVENTS, TALLY, TRAFFIC_OUTCOMES
from batch_layer.lake.traits_key import check_traits_key
from batch_layer.run.ports import ArchivedPiece, Branch, Decided, DerivedPiece, JudgedPiece, PieceContents
from batch_layer.run.spark_attestations_part import unattested_part
from batch_layer.run.spark_branch import ArchivedRows, BranchTables, WrittenParts
from batch_layer.run.spark_contents import piece_contents
from batch_layer.run.spark_derived_part import derived_part
from batch_layer.run.spark_events_part import EventJudges
from batch_layer.run.spark_rebuild import Recount
from batch_layer.run.spark_rewrite import rewritten
from batch_layer.run.spark_traffic_part import TrafficJudges
from batch_layer.versions.day_changes import TallyRow
from batch_layer.versions.ports import StagedCounts, Staging
from batch_layer.versions.spark_day_changes import day_changes, invalid_changes, tally_by_day, viewer_changes
from batch_layer.versions.spark_staging import Changed, stage
from ingestion.contract.event_contracts import EventContracts
from ingestion.contract.offsets import LogPlace, OffsetVector
from ingestion.contract.periods import Period
from ingestion.contract.policy import CountingPolicy
from ingestion.contract.traffic_groups import TrafficDecision, TrafficGroup
from ingestion.contract.version import PublishedVersion

Opened = TypeVar("Opened")


class SparkWarehouse:
    """See the port `Warehouse`. One run at a time."""

    def __init__(
        self,
        spark: SparkSession,
        source: RecordSource,
        catalogue: CatalogueFacts,
        *,
        staging: Staging,
        reports: Path,
        gate: Gate,
        keys: BatchKeys,
        policies: tuple[CountingPolicy, ...],
        traffic_rules: TrafficRules = NO_TRAFFIC_RULES,
    ) -> None:
        self._spark, self._source, self._catalogue = spark, source, catalogue
        self._traffic_rules = traffic_rules
        self._staging, self._reports, self._gate, self._policies = staging, reports, gate, policies
        self._keys = keys
        self.tables = IcebergTables(spark)

    @translated
    def repair(self, current: PublishedVersion | None, kept_runs: Collection[str]) -> list[str]:
        """See the port."""
        self.tables.create_missing()
        check_traits_key(self.tables, self._keys.traits)
        self.tables.drop_branches("run_", keep={branch_of(run_id) for run_id in kept_runs})
        return self.tables.move_main(current.snapshots) if current else []

    @translated
    def has_layout(self, base: PublishedVersion) -> bool:
        """See the port."""
        return self.tables.has_todays_layout(base.snapshots)

    @translated
    def has_newer_catalogue(self, base: PublishedVersion) -> bool:
        """See the port."""
        # a version of offsets without a record has judged nothing; a run by the catalogue alone would repeat
        return bool(base.day_rules) and self._catalogue.latest_version() != catalogue_of(base.day_rules)

    def has_newly_revoked_keys(self, base: PublishedVersion) -> bool:
        """See the port."""
        return bool(self._keys.newly_revoked(base))

    @translated
    def open_branch(self, run_id: str, base: PublishedVersion | None) -> AbstractContextManager[Branch]:
        """See the port."""
        self._spark.catalog.clearCache()
        attesting_keys = self._keys.attesting_after(base, partial(self._place_at, base) if base else nowhere)
        self.tables.open_branch(branch_of(run_id), base.snapshots if base else {})
        content = (base.day_rules, base.row_counts, base.content_hashes) if base else ({}, {}, {})
        return self._freeing(Branch(run_id, base, *content, attesting_keys, engine=WrittenParts()))

    @contextmanager
    def _freeing(self, opened: Opened) -> Iterator[Opened]:
        try:
            yield opened
        finally:
            self._spark.catalog.clearCache()

    @translated
    def archive(self, branch: Branch, start: OffsetVector, end: OffsetVector) -> ArchivedPiece:
        """See the port."""
        on = self._on(branch)
        before = on.head(RAW_EVENTS)
        ranges = end.ranges_since(start)
        if not ranges:
            nothing = self.tables.at(RAW_EVENTS, before).where(F.lit(False))
            return ArchivedPiece(branch, start, end, Archived({}, {}), ArchivedRows(nothing, Content()))
        file_count = self._spark.sparkContext.defaultParallelism
        records = self._source.read(start, end)
        sent = append_raw(records, branch=branch_of(branch.run_id), run_id=branch.run_id, file_count=file_count)
        raw = on.appended(RAW_EVENTS, before)
        return ArchivedPiece(branch, start, end, verify_archived(raw, ranges), ArchivedRows(raw, sent))

    @translated
    def judge(self, piece: ArchivedPiece, accepted: Collection[LogPlace], contracts: EventContracts) -> JudgedPiece:
        """See the port."""
        judges = EventJudges(self._catalogue, self._policies, self._traffic_rules, self._keys)
        return judges.part(self._on(piece.branch), piece, accepted, contracts)

    @translated
    def judge_revoked_keys(self, piece: ArchivedPiece, contracts: EventContracts) -> JudgedPiece:
        """See the port."""
        check = self._keys.reading(contracts, piece.branch.attesting_keys).attestation
        return unattested_part(
            self._on(piece.branch), piece, check, policies_of(piece.branch.rules, (), self._policies)
        )

    @translated
    def judge_traffic(self, piece: ArchivedPiece, days: Collection[date], settled_until: datetime) -> JudgedPiece:
        """See the port."""
        return self._traffic_judges(piece).part(self._on(piece.branch), piece, days, settled_until)

    @translated
    def judge_period(self, piece: ArchivedPiece, period: Period) -> JudgedPiece:
        """See the port."""
        return self._traffic_judges(piece).period_part(self._on(piece.branch), piece, period)

    @translated
    def groups_under_review(self, base: PublishedVersion) -> list[TrafficGroup]:
        """See the port."""
        return groups_of(self.tables.at(TRAFFIC_OUTCOMES, base.snapshots[TRAFFIC_OUTCOMES]))

    @translated
    def undisturbed(
        self, base: PublishedVersion, decisions: Collection[TrafficDecision]
    ) -> tuple[TrafficDecision, ...]:
        """See the port."""
        return undisturbed(self.tables.at(TRAFFIC_OUTCOMES, base.snapshots[TRAFFIC_OUTCOMES]), decisions)

    @translated
    def decide_traffic(self, piece: ArchivedPiece, decisions: Collection[TrafficDecision]) -> JudgedPiece:
        """See the port."""
        return self._traffic_judges(piece).decided_part(self._on(piece.branch), piece, decisions)

    @translated
    def derive(self, judged: JudgedPiece) -> DerivedPiece:
        """See the port."""
        return derived_part(self._on(judged.piece.branch), judged)

    @translated
    def check(self, derived: DerivedPiece) -> GateReport:
        """See the port."""
        piece, engine = derived.judged.piece, derived.engine
        subject = Subject(
            changes=engine.changes,
            moved=engine.moved.rows if engine.moved.count else None,
            former_offsets=piece.start,
            offsets=piece.end,
            archived=piece.archived,
            removals=engine.removals,
        )
        run_id, number = piece.branch.run_id, len(piece.branch.engine.events)
        folder = self._reports / run_id
        return self._gate(self._spark, subject, run_id, folder if number == 1 else folder / f"part-{number}")

    @translated
    def contents(self, derived: DerivedPiece) -> PieceContents:
        """See the port. Only changed rows are read; the rest is known."""
        branch, engine = derived.judged.piece.branch, derived.engine
        removed = engine.removals.of(RAW_EVENTS)
        found = piece_contents(self._spark, engine.changes, engine.raw, engine.sent, removed=removed)
        if engine.new is not None:
            engine.new.unpersist()
        total = found.added_to(branch)
        grown = replace(
            branch,
            rules=derived.judged.rules,
            row_counts={name: each.row_count for name, each in total.items()},
            content_hashes={name: each.text for name, each in total.items()},
        )
        return PieceContents(grown, found.archived, found.differences)

    @translated
    def snapshots(self, branch: Branch) -> dict[str, int]:
        """See the port."""
        return self.tables.heads(branch_of(branch.run_id))

    @translated
    def tally(self, branch: Branch) -> list[TallyRow]:
        """See the port."""
        return tally_by_day(self._on(branch).read(TALLY))

    @translated
    def stage_counts(self, branch: Branch) -> StagedCounts:
        """See the port."""
        changed = [(each.removed.rows, each.added) for each in branch.engine.events]
        counts = last_totals(branch.engine.totals).select("video_id", *SERVED)
        viewers = viewer_changes([(each.removed.rows, each.added) for each in branch.engine.viewers])
        parts = Changed(counts, day_changes(changed), invalid_changes(changed), viewers)
        return stage(parts, staging=self._staging, run_id=branch.run_id)

    @translated
    def tag(self, version: int, snapshots: Mapping[str, int]) -> None:
        """See the port."""
        self.tables.tag(f"v{version}", snapshots)

    @translated
    def differences_of_rebuild(
        self, version: PublishedVersion, decided: Decided, removals: Removals, run_id: str
    ) -> Sequence[object]:
        """See the port."""
        self._spark.catalog.clearCache()
        recount = self._recount(version, catalogue_of(version.day_rules), decided, removals, run_id=run_id)
        recount.write()
        found = recount.differences()
        recount.drop()
        return found

    @translated
    def rewrite(
        self, run_id: str, base: PublishedVersion, decided: Decided, removals: Removals
    ) -> AbstractContextManager[DerivedPiece]:
        """See the port."""
        self._spark.catalog.clearCache()
        self.tables.renew_layout()
        latest = self._catalogue.latest_version()
        self._recount(base, latest, decided, removals, run_id=run_id).write()
        keys, on = self._keys.attesting_of(base), BranchTables(self.tables, run_id)
        return self._freeing(rewritten(on, base, catalogue_version=latest, keys=keys, removals=removals))

    @translated
    def finish(self, version: PublishedVersion) -> None:
        """See the port."""
        self.tables.finish(branch_of(version.run_id), version.snapshots)

    def _place_at(self, base: PublishedVersion, instant: datetime) -> tuple[int, ...]:
        return place_at(self.tables.at(RAW_EVENTS, base.snapshots[RAW_EVENTS]), base.offsets, instant)

    def _traffic_judges(self, piece: ArchivedPiece) -> TrafficJudges:
        policies = policies_of(piece.branch.rules, (), self._policies)
        return TrafficJudges(self._traffic_rules, self._catalogue, policies)

    def _recount(
        self, version: PublishedVersion, catalogue_version: int, decided: Decided, removals: Removals, *, run_id: str
    ) -> Recount:
        attesting_keys = self._keys.attesting_of(version)
        return Recount(
            spark=self._spark,
            tables=self.tables,
            version=version,
            reading=self._keys.reading(version.event_contracts, attesting_keys),
            decided=decided,
            run_id=run_id,
            policies={policy.version: policy for policy in self._policies},
            catalogue_version=catalogue_version,
            catalogue=self._catalogue,
            traffic_rules=self._traffic_rules,
            removals=removals,
        )

    def _on(self, branch: Branch) -> BranchTables:
        return BranchTables(self.tables, branch.run_id)
