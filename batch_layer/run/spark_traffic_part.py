"""The last parts of a run: rules of traffic judge days and periods that are due, by everything that was archived."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from batch_layer.judging.spark_catalogue import CatalogueFacts
from batch_layer.judging.spark_day_rows import DayRows, days_without_persons
from batch_layer.judging.spark_day_traffic import DayJudging, EventRules, OutcomeChanges
from batch_layer.judging.spark_facts import catalogue_of
from batch_layer.judging.spark_judging import Stored
from batch_layer.judging.spark_period_traffic import PeriodJudging, findings_of
from batch_layer.judging.spark_traffic import TrafficOfDays, ends_of
from batch_layer.judging.spark_traffic_groups import given_rows
from batch_layer.judging.spark_traffic_guard import TrafficGuard, days_of_history, stored_shares
from batch_layer.judging.traffic_rules import TrafficRules
from batch_layer.lake.spark_changes import TableChanges
from batch_layer.lake.spark_kept import Kept, kept
from batch_layer.lake.spark_stored import days_of
from batch_layer.lake.tables import EVENTS, TALLY, TRAFFIC_OUTCOMES, VIDEO_FACTS, VIEWERS
from batch_layer.run.ports import ArchivedPiece, JudgedPiece
from batch_layer.run.spark_branch import BranchTables, JudgedRows
from ingestion.contract.periods import Period
from ingestion.contract.policy import CountingPolicy
from ingestion.contract.traffic_findings import findings_hash
from ingestion.contract.traffic_groups import TrafficDecision
from ingestion.contract.version import DayRules, SeenPeriod, SeenTraffic


@dataclass(frozen=True)
class TrafficJudges:
    """What the day rules judge with."""

    rules: TrafficRules
    catalogue: CatalogueFacts
    policies: Mapping[date, CountingPolicy]
    """The counting policy of every event day."""

    def judge_again(
        self, on: BranchTables, before: Mapping[date, DayRules], now: Mapping[date, DayRules], given: DataFrame
    ) -> dict[str, TableChanges]:
        """Store the outcomes of the days `now` by what is pinned for them, and the events that they change.

        `given`: the outcomes that people decided, or that rules of a period found.
        """
        if not now:
            return {name: on.unchanged(name) for name in (TRAFFIC_OUTCOMES, EVENTS)}
        judging = _judging(on, before, now)
        return self._written(on, judging, judging.outcome_changes(self.rules, self.catalogue, None, given))

    def _written(self, on: BranchTables, judging: DayJudging, outcomes: OutcomeChanges) -> dict[str, TableChanges]:
        changed = on.replace(TRAFFIC_OUTCOMES, outcomes.removed, outcomes.added)
        by = EventRules(self.policies, on.read(VIDEO_FACTS), self.rules.sentences)
        added, removed = judging.event_changes(outcomes, on.read(TRAFFIC_OUTCOMES), by)
        return {TRAFFIC_OUTCOMES: changed, EVENTS: on.replace(EVENTS, removed, kept(added))}

    def _guard(self, on: BranchTables, rules: Mapping[date, DayRules], days: Collection[date]) -> TrafficGuard:
        first = frozenset(day for day in days if rules[day].seen is None)
        history = days_of_history(first, rules)
        if not history:
            return TrafficGuard(first, {})
        shares = stored_shares(on.read(TALLY), on.read(TRAFFIC_OUTCOMES), history, self.rules.sentences)
        return TrafficGuard(first, shares)

    def part(
        self, on: BranchTables, piece: ArchivedPiece, days: Collection[date], settled_until: datetime
    ) -> JudgedPiece:
        """Let the rules judge days by everything on a branch; see the port `Warehouse`."""
        branch = piece.branch
        without = days_without_persons(on.read(EVENTS), on.read(VIEWERS), days)
        unruled = {day: replace(branch.rules[day], traffic_policy_version=0)
                   for day in without if branch.rules[day].seen is None}  # fmt: skip
        days = frozenset(days) - without
        seen = SeenTraffic(piece.end, catalogue_of(branch.rules), settled_until)
        # what the guard found at first stays
        former = {day: known.reviewed if (known := branch.rules[day].seen) else () for day in days}
        now = {day: replace(branch.rules[day], seen=replace(seen, reviewed=former[day])) for day in days}
        guard = self._guard(on, branch.rules, days)
        if not now:
            return piece_of_stored(
                on, piece, {name: on.unchanged(name) for name in (TRAFFIC_OUTCOMES, EVENTS)}, unruled
            )
        judging = _judging(on, branch.rules, now)
        outcomes = judging.outcome_changes(self.rules, self.catalogue, guard, given_rows(on.read(TRAFFIC_OUTCOMES)))
        changes = self._written(on, judging, outcomes)
        reviewed = outcomes.reviewed
        now = {day: replace(each, seen=replace(seen, reviewed=reviewed[day])) for day, each in now.items()}
        return piece_of_stored(on, piece, changes, unruled | now)

    def decided_part(
        self, on: BranchTables, piece: ArchivedPiece, decisions: Collection[TrafficDecision]
    ) -> JudgedPiece:
        """Give the events of decided groups their outcome; see the port `Warehouse`."""
        rules = piece.branch.rules
        judging = _judging(on, rules, {each.group.day: rules[each.group.day] for each in decisions})
        return piece_of_stored(on, piece, self._written(on, judging, judging.decided_changes(decisions)), {})

    def period_part(self, on: BranchTables, piece: ArchivedPiece, period: Period) -> JudgedPiece:
        """Let the rules of a period judge those of its days that none has judged; see the port `Warehouse`."""
        rules, catalogue_version = piece.branch.rules, catalogue_of(piece.branch.rules)
        days = [
            day for day in period.days() if (each := rules.get(day)) and each.traffic_policy_version and not each.period
        ]
        judging = _judging(on, rules, {day: rules[day] for day in days})
        source = DayRows(judging.stored, TrafficOfDays(judging.outcomes, ends_of(rules)))
        found = PeriodJudging(period, days, rules, piece.end, catalogue_version).found(
            source, self.rules, self.catalogue
        )
        findings = findings_of(found.rows)
        sets = [each.found for each in findings]
        seen = SeenPeriod(period, piece.end, catalogue_version, len(sets), findings_hash(sets))
        now = {day: replace(rules[day], period=seen) for day in days}
        if found.count:
            changes = self._written(on, judging, judging.found_changes(found.rows))
        else:
            changes = {name: on.unchanged(name) for name in (TRAFFIC_OUTCOMES, EVENTS)}
        return replace(piece_of_stored(on, piece, changes, now), findings=findings)


def _judging(on: BranchTables, before: Mapping[date, DayRules], now: Mapping[date, DayRules]) -> DayJudging:
    stored = Stored(on.read(EVENTS), on.read(VIEWERS), frozenset(before))
    return DayJudging(stored, on.read(TRAFFIC_OUTCOMES), before, now)


def piece_of_stored(
    on: BranchTables, piece: ArchivedPiece, changes: Mapping[str, TableChanges], now: Mapping[date, DayRules]
) -> JudgedPiece:
    """Return a part without new events, in which stored ones changed; `now`: the rules of days that have others now."""
    branch, archived = piece.branch, piece.engine
    nothing = Kept(on.read(EVENTS).where(F.lit(False)), 0)
    engine = JudgedRows(archived.raw, archived.sent, None, 0, nothing, changes)
    events = changes[EVENTS]
    branch.engine.events.append(events)
    rules, removed = {**branch.rules, **now}, events.removed
    return JudgedPiece(piece, days_of(removed), rules, 0, removed.count, 0, engine=engine)
