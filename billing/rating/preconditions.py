"""Preconditions: whether a period may be billed now, and if not, every reason by name. Pure.

Each concerns the whole system. Single events, videos or payees are never a precondition: their sender or owner could
otherwise delay everybody's payment.
"""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta

from billing.errors import Failure, Precondition
from ingestion.contract.periods import Period
from ingestion.contract.version import DayRules, PublishedVersion


def failed_preconditions(
    period: Period,
    version: PublishedVersion,
    unreconciled: Sequence[str],
    *,
    allowed_lateness: timedelta,
    billed: Sequence[Period] = (),
) -> list[Failure]:
    """Return every precondition that does not hold, with cause and remedy.

    `unreconciled`: the differences between archive, tables, served counts and ledger, in sentences. The tally need not
    be checked here: a version whose tally does not add up is never published. `billed`: all billed periods.
    """
    return [
        *_overlapping(period, billed),
        *_unreconciled(unreconciled),
        *_unsettled(period, version, allowed_lateness),
        *_unjudged(period, version),
    ]


def _overlapping(period: Period, billed: Sequence[Period]) -> list[Failure]:
    others = [other for other in billed if other != period and other.overlaps(period)]
    return [Failure(Precondition.OVERLAP, overlap_sentence(str(period), str(other))) for other in others]


def overlap_sentence(period: str, other: str) -> str:
    """Return why two periods cannot both be billed."""
    return (
        f"period {period} shares days with the billed period {other}: the same views would be paid twice; "
        f"bill the days that are left, or the same period again"
    )


def _unreconciled(differences: Sequence[str]) -> list[Failure]:
    if not differences:
        return []
    more = f" (and {len(differences) - 1} more)" if len(differences) > 1 else ""
    sentence = f"{differences[0]}{more}; fix the cause and run `./viewledger reconcile` until it finds none"
    return [Failure(Precondition.RECONCILED, sentence)]


def _unsettled(period: Period, version: PublishedVersion, allowed_lateness: timedelta) -> list[Failure]:
    needed = period.end_at + allowed_lateness
    lagging = [(at, partition) for partition, at in enumerate(version.watermarks) if at < needed]
    if not lagging:
        return []
    earliest, partition = min(lagging)
    hours = f"{allowed_lateness / timedelta(hours=1):g}"
    sentence = (
        f"version {version.version} covers {len(lagging)} of {len(version.watermarks)} partitions not far "
        f"enough: partition {partition} is settled until {earliest.isoformat()}, and {needed.isoformat()} is needed "
        f"(end of the period + {hours} hours of allowed lateness); wait until then and run `./viewledger batch run`"
    )
    return [Failure(Precondition.SETTLED, sentence)]


def unjudged_days(period: Period, day_rules: Mapping[date, DayRules]) -> list[date]:
    """Return the days of a period that a traffic policy rules and no rule of a day, or of a period, has judged."""
    known = [(day, day_rules[day]) for day in period.days() if day in day_rules]
    ruled = [(day, rules) for day, rules in known if rules.traffic_policy_version]
    return [day for day, rules in ruled if rules.seen is None or rules.period is None]


def _unjudged(period: Period, version: PublishedVersion) -> list[Failure]:
    """Name the days with events whose traffic was never judged. What came after a judging is not billable yet, and
    delays nobody.
    """
    waiting = unjudged_days(period, version.day_rules)
    if not waiting:
        return []
    more = f" and {len(waiting) - 1} more days" if len(waiting) > 1 else ""
    sentence = (
        f"version {version.version} has not judged the traffic of {waiting[0]}{more}; "
        f"run `./viewledger batch run --judge-period {period}`"
    )
    return [Failure(Precondition.TRAFFIC_JUDGED, sentence)]
