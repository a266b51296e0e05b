"""A part of a run: the newly archived events are judged, with the stored ones that they change."""

from collections.abc import Collection
from dataclasses import dataclass, replace

from pyspark.sql import DataFrame

from batch_layer.judging.batch_keys import BatchKeys
from batch_layer.judging.spark_accepted import accepted_rows, moved_events, own_days, touched_days, with_accepted
from batch_layer.judging.spark_catalogue import CatalogueFacts
from batch_layer.judging.spark_decode import COLUMNS, PERSON, decode
from batch_layer.judging.spark_facts import FactChanges, catalogue_of, changed_facts, policies_of, unchanged_facts
from batch_layer.judging.spark_judging import Rules, Stored, judge
from batch_layer.judging.spark_traffic import TrafficOfDays, ends_of
from batch_layer.judging.traffic_rules import TrafficRules, rules_of
from batch_layer.lake.spark_changes import TableChanges
from batch_layer.lake.spark_kept import kept
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
        new = decode(archived.raw, self.keys.reading(contracts, branch.attesting_keys)).persist()
        unknown_country_count = new.where("is_country_unknown").count()
        stored = Stored(on.read(EVENTS), on.read(VIEWERS), frozenset(branch.rules))
        moved = moved_events(stored.events, stored.viewers, accepted)
        decoded = new.select(*COLUMNS, *PERSON)
        if accepted:
            decoded = with_accepted(decoded, accepted_rows(decoded.sparkSession, decoded, accepted))
        latest = self.catalogue.latest_version()
        days = touched_days(decoded, moved.rows if moved.count else None)
        facts = self._changed_facts(on.read(VIDEO_FACTS), catalogue_of(branch.rules), latest)
        fact_changes = on.replace(VIDEO_FACTS, facts.removed, facts.added)
        policies = policies_of(branch.rules, days, self.policies)
        self.keys.refuse_none(policies)
        traffic = TrafficOfDays(on.read(TRAFFIC_OUTCOMES), ends_of(branch.rules))
        judged = judge(stored, decoded, moved, Rules(policies, days, on.read(VIDEO_FACTS), facts.videos, traffic))
        changes = {
            EVENTS: _read_once(on.replace_many(EVENTS, judged.removed, judged.added, row_count), row_count),
            VIDEO_FACTS: fact_changes,
            VIEWERS: replaced_viewers(on, decoded, moved, row_count),
        }
        branch.engine.events.append(changes[EVENTS])
        engine = JudgedRows(archived.raw, archived.sent, decoded, moved, changes)
        return JudgedPiece(
            piece,
            changes[EVENTS].days(),
            rules_of(branch.rules, policies, latest, self.traffic_rules),
            unknown_country_count,
            judged.removed.count,
            judged.catalogue_changed_count,
            own_days(moved),
            engine,
        )

    def _changed_facts(self, stored: DataFrame, former: int, latest: int) -> FactChanges:
        return (
            unchanged_facts(stored) if latest == former else changed_facts(stored, self.catalogue.facts(latest), latest)
        )


def _read_once(changes: TableChanges, row_count: int) -> TableChanges:
    """Keep few added rows, as they were read back: all later steps read them."""
    return replace(changes, added=kept(changes.added).rows) if row_count <= FILE_ROWS else changes
