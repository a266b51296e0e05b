"""A part of a run: the newly archived events are judged, with the stored ones that they change."""

from collections.abc import Collection
from dataclasses import dataclass, replace

from pyspark.sql import DataFrame

from batch_layer.judging.batch_keys import BatchKeys
from batch_layer.judging.spark_accepted import accepted_rows, described, moved_events, with_accepted
from batch_layer.judging.spark_catalogue import CatalogueFacts
from batch_layer.judging.spark_decode import decode
from batch_layer.judging.spark_facts import FactChanges, catalogue_of, changed_facts, policies_of, unchanged_facts
from batch_layer.judging.spark_judging import Rules, Stored, judge
from batch_layer.judging.spark_traffic import TrafficOfDays, ends_of
from batch_layer.judging.traffic_rules import TrafficRules, rules_of
from batch_layer.lake.spark_changes import TableChanges
from batch_layer.lake.spark_kept import Kept, in_tasks, kept
from batch_layer.lake.spark_stored import days_of
from batch_layer.lake.tables import EVENTS, TRAFFIC_OUTCOMES, VIDEO_FACTS, VIEWERS
from batch_layer.run.ports import ArchivedPiece, JudgedPiece
from batch_layer.run.spark_branch import FILE_ROWS, BranchTables, JudgedRows, replaced_viewers
from ingestion.contract.event_contracts import EventContracts
from ingestion.contract.offsets import LogPlace
from ingestion.contract.policy import CountingPolicy


@dataclass(frozen=True)
class EventJudges:
    """What events are judged with."""

    catalogue: CatalogueFacts
    policies: tuple[CountingPolicy, ...]
    traffic_rules: TrafficRules
    keys: BatchKeys

    def part(
        self, on: BranchTables, piece: ArchivedPiece, accepted: Collection[LogPlace], contracts: EventContracts
    ) -> JudgedPiece:
        """Judge the events of an archived part on a branch; see the port `Warehouse`."""
        branch, archived, row_count = piece.branch, piece.engine, piece.archived.row_count
        reading = self.keys.reading(contracts, branch.attesting_keys)
        new = decode(in_tasks(archived.raw, row_count), reading).persist()
        stored = Stored(on.read(EVENTS), on.read(VIEWERS), frozenset(branch.rules))
        moved = moved_events(stored.events, stored.viewers, accepted)
        decoded = with_accepted(new, accepted_rows(new.sparkSession, new, accepted)) if accepted else new
        found = described(decoded, moved)
        latest = self.catalogue.latest_version()
        facts = self._changed_facts(on.read(VIDEO_FACTS), catalogue_of(branch.rules), latest)
        fact_changes = on.replace(VIDEO_FACTS, facts.removed, facts.added)
        policies = policies_of(branch.rules, found.days, self.policies)
        self.keys.refuse_none(policies)
        traffic = TrafficOfDays(on.read(TRAFFIC_OUTCOMES), ends_of(branch.rules))
        rules = Rules(policies, found.days, on.read(VIDEO_FACTS), facts.videos, traffic)
        judged = judge(stored, Kept(decoded, row_count), moved, rules)
        removed, added = judged.removed, Kept(judged.added, row_count + judged.removed.count)
        removed_days = days_of(removed)
        changes = {
            EVENTS: _read_once(on.replace(EVENTS, removed, added, days=removed_days), row_count),
            VIDEO_FACTS: fact_changes,
            VIEWERS: replaced_viewers(on, decoded, moved, row_count),
        }
        branch.engine.events.append(changes[EVENTS])
        engine = JudgedRows(archived.raw, archived.sent, decoded, found.rejected_count, moved, changes)
        return JudgedPiece(
            piece,
            found.days | removed_days,
            rules_of(branch.rules, policies, latest, self.traffic_rules),
            found.unknown_country_count,
            removed.count,
            judged.catalogue_changed_count,
            found.moved_days,
            engine=engine,
        )

    def _changed_facts(self, stored: DataFrame, former: int, latest: int) -> FactChanges:
        return (
            unchanged_facts(stored) if latest == former else changed_facts(stored, self.catalogue.facts(latest), latest)
        )


def _read_once(changes: TableChanges, row_count: int) -> TableChanges:
    """Keep few added rows, as they were read back: all later steps read them."""
    return replace(changes, added=kept(changes.added).rows) if row_count <= FILE_ROWS else changes
