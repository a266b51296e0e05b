"""Group the events under review by payee, reason and day, and give the members of decided groups their outcome."""

import json
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import date

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from batch_layer.judging.spark_traffic import is_outcome
from batch_layer.lake.content import Content
from batch_layer.lake.spark_content_hash import contents
from batch_layer.lake.spark_stored import PLACE, on_days
from ingestion.contract.day_traffic import DECIDED_OUTCOMES, TrafficOutcome
from ingestion.contract.printable import counted
from ingestion.contract.traffic_findings import FoundSet, findings_hash
from ingestion.contract.traffic_groups import TrafficDecision, TrafficGroup
from ingestion.contract.traffic_reasons import PERIOD_CODES
from ingestion.contract.version import DayRules, SeenPeriod

GROUP = ("event_day", "reason", "payee_id")
_SetKey = tuple[date, str, str, TrafficOutcome]


def groups_of(outcomes: DataFrame) -> list[TrafficGroup]:
    """Return the groups under review, in order."""
    return sorted(
        TrafficGroup(day, reason, payee_id, content.row_count, content.text)
        for (day, reason, payee_id, _), content in _sets_of(outcomes, (TrafficOutcome.REVIEW,)).items()
    )


def undisturbed(outcomes: DataFrame, decisions: Collection[TrafficDecision]) -> tuple[TrafficDecision, ...]:
    """Return the decisions, in order, about groups that have exactly the events that were decided on."""
    stored = set(groups_of(on_days(outcomes, {each.group.day for each in decisions})))
    return tuple(each for each in sorted(decisions) if each.group in stored)


def decided_members(outcomes: DataFrame, decisions: Collection[TrafficDecision]) -> DataFrame:
    """Return the rows of decided groups, as they are stored, with the column `decided`."""
    rows = [(*_columns_of(each.group), each.outcome.value) for each in decisions]
    columns = ", ".join(f"{name} {'date' if name == 'event_day' else 'string'}" for name in (*GROUP, "decided"))
    wanted = outcomes.sparkSession.createDataFrame(rows, columns).withColumnRenamed("payee_id", "group_payee_id")
    reviewed = outcomes.where(is_outcome((TrafficOutcome.REVIEW,)))
    with_group = reviewed.withColumn("group_payee_id", F.coalesce("payee_id", F.lit("")))
    return with_group.join(F.broadcast(wanted), ["event_day", "reason", "group_payee_id"]).drop("group_payee_id")


def given_rows(outcomes: DataFrame) -> DataFrame:
    """Return the outcomes that the rules of a day do not change: decided by people, or found in a period."""
    return outcomes.where(is_outcome(DECIDED_OUTCOMES) | is_of_period())


def found_sets(outcomes: DataFrame) -> list[FoundSet]:
    """Return the sets that rules of a period found, in order. What people decided on was under review then."""
    found: defaultdict[tuple[str, str, TrafficOutcome], Content] = defaultdict(Content)
    for (_, reason, payee_id, outcome), content in _sets_of(
        outcomes.where(is_of_period()), tuple(TrafficOutcome)
    ).items():
        is_invalid = outcome is TrafficOutcome.INVALID
        found[reason, payee_id, TrafficOutcome.INVALID if is_invalid else TrafficOutcome.REVIEW] += content
    return sorted(FoundSet(*key, content.row_count, content.text) for key, content in found.items())


def other_findings(outcomes: DataFrame, rules: Mapping[date, DayRules]) -> list[str]:
    """Return a sentence for each period whose found events are not those that a version pins."""
    days_of: defaultdict[SeenPeriod, list[date]] = defaultdict(list)
    for day, each in sorted(rules.items()):
        if each.period is not None:
            days_of[each.period].append(day)
    return [
        f"traffic found in {seen.period} on {counted(len(days), 'day')}: "
        f"{counted(seen.finding_count, 'finding')} with hash "
        f"{seen.findings_hash}, in the table {len(sets)} with hash {findings_hash(sets)}"
        for seen, days in days_of.items()
        for sets in (found_sets(on_days(outcomes, days)),)
        if (len(sets), findings_hash(sets)) != (seen.finding_count, seen.findings_hash)
    ]


def is_of_period() -> Column:
    """Return whether a rule of a period found the outcome of a row."""
    return F.col("reason").isin(sorted(PERIOD_CODES))


def other_sets(outcomes: DataFrame, decisions: Collection[TrafficDecision]) -> list[str]:
    """Return a sentence for each set of decided events that is not what the decisions name."""
    expected: dict[_SetKey, Content] = {}
    for each in decisions:
        key = (each.group.day, each.group.reason, each.group.payee_id, each.outcome)
        expected[key] = expected.get(key, Content()) + Content.parse(each.group.event_count, each.group.set_hash)
    stored = _sets_of(outcomes, DECIDED_OUTCOMES)
    return [
        f"decided traffic of {day} {reason} {payee_id or 'nobody'}: {outcome} by decisions "
        f"{expected.get(key, Content())}, in the table {stored.get(key, Content())}"
        for key in sorted({*expected, *stored})
        if expected.get(key, Content()) != stored.get(key, Content())
        for day, reason, payee_id, outcome in (key,)
    ]


def _columns_of(group: TrafficGroup) -> tuple[date, str, str]:
    return group.day, group.reason, group.payee_id


def _sets_of(outcomes: DataFrame, wanted: Sequence[TrafficOutcome]) -> dict[_SetKey, Content]:
    """Return the set of places of each day, reason, payee and outcome."""
    key = F.to_json(F.array(*(F.coalesce(F.col(name).cast("string"), F.lit("")) for name in (*GROUP, "outcome"))))
    rows = outcomes.where(is_outcome(wanted)).select(*PLACE, key.alias("whole"))
    found = {}
    for (_, part), content in contents({"": rows}, by={"": "whole"}).items():
        day, reason, payee_id, outcome = json.loads(str(part))
        found[date.fromisoformat(day), reason, payee_id, TrafficOutcome(outcome)] = content
    return found
