"""Preconditions: whether a period may be billed now, and if not, every reason by name. Pure."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from billing.ports import UnplacedViews
from ingestion.contract.periods import Period
from ingestion.contract.version import PublishedVersion

SHOWN_MAX = 5


class Waivable(StrEnum):
    """The preconditions that a named person may waive; all others hold always."""

    CONFLICT = "conflict"
    LATE_REVIEW = "late_review"
    UNATTRIBUTED = "unattributed"
    CATALOGUE = "catalogue"


_REVIEWS = {
    Waivable.CONFLICT: "decide them with `billing conflict-decide`, or waive them ",
    Waivable.LATE_REVIEW: "decide them with `billing late-decide`, run `./viewledger batch run` to count those that "
    "are accepted, or waive them ",
}
"""Kind of review item → what can be done about it, to be ended with the flag that waives it."""


@dataclass(frozen=True)
class Findings:
    """What is known of the period that is to be billed."""

    version: PublishedVersion
    catalogue_version: int
    review_items: Mapping[str, int]
    unplaced: Collection[UnplacedViews]
    """Billable views that nobody owns, or that no card is for."""
    recatalogued: Collection[str]
    """Videos of the period whose length or payee's viewer id was another when their views were judged."""
    unreconciled: Sequence[str] = ()
    """What does not agree between archive, tables, served counts and ledger, in sentences."""


def failed_preconditions(
    period: Period, findings: Findings, *, allowed_lateness: timedelta, waived: Mapping[str, str]
) -> list[str]:
    """Return one sentence for every precondition that does not hold and is not waived: name, cause, remedy.

    That the tally adds up is no precondition here: a version whose tally does not is never published.
    """
    failures = [
        *_unreconciled(findings.unreconciled),
        *_unsettled(period, findings.version, allowed_lateness),
        *_unrated(period, findings.unplaced),
    ]
    for kind, remedy in _REVIEWS.items():
        if (count := findings.review_items.get(kind, 0)) and kind not in waived:
            failures.append(
                f"{kind}: {count} {_many('event', count)} of period {period} "
                f"{'waits' if count == 1 else 'wait'} for review; {remedy}{_by_flag(kind)}"
            )
    if Waivable.UNATTRIBUTED not in waived:
        failures += _unattributed(findings.unplaced)
    if Waivable.CATALOGUE not in waived:
        failures += _recatalogued(findings)
    return failures


def _unreconciled(differences: Sequence[str]) -> list[str]:
    if not differences:
        return []
    more = f" (and {len(differences) - 1} more)" if len(differences) > 1 else ""
    return [
        f"reconciled: {differences[0]}{more}; mend the cause, then `./viewledger reconcile` must find no difference"
    ]


def _unsettled(period: Period, version: PublishedVersion, allowed_lateness: timedelta) -> list[str]:
    needed = period.end_at + allowed_lateness
    behind = [(at, partition) for partition, at in enumerate(version.watermarks) if at < needed]
    if not behind:
        return []
    earliest, partition = min(behind)
    hours = f"{allowed_lateness / timedelta(hours=1):g}"
    return [
        f"settled: version {version.version} covers {len(behind)} of {len(version.watermarks)} partitions not far "
        f"enough: partition {partition} is settled until {earliest.isoformat()}, and {needed.isoformat()} is needed "
        f"(end of the period + {hours} hours of allowed lateness); wait until then and run `./viewledger batch run`"
    ]


def _unrated(period: Period, unplaced: Collection[UnplacedViews]) -> list[str]:
    views: Counter[str] = Counter()
    first_on: dict[str, date] = {}
    for each in unplaced:
        if each.payee_id is not None:
            views[each.payee_id] += each.billable_views
            first_on[each.payee_id] = min(first_on.get(each.payee_id, each.first_on), each.first_on)
    if not views:
        return []
    count, total = len(views), views.total()
    return [
        f"rate: {total} billable {_many('view', total)} of {count} {_many('payee', count)} ({_shown(sorted(views))}) "
        f"in period {period} have no rate; import contracts that are for {'it' if count == 1 else 'them'}, with a card "
        f"that begins on {min(first_on.values()).isoformat()} or earlier"
    ]


def _unattributed(unplaced: Collection[UnplacedViews]) -> list[str]:
    videos = {each.video_id: each.billable_views for each in unplaced if each.payee_id is None}
    if not videos:
        return []
    count, total = len(videos), sum(videos.values())
    return [
        f"unattributed: {total} billable {_many('view', total)} of {count} {_many('video', count)} without a payee "
        f"({_shown(sorted(videos))}); add them to videos.csv and import it, or leave them unpaid "
        f"{_by_flag(Waivable.UNATTRIBUTED)}"
    ]


def _recatalogued(findings: Findings) -> list[str]:
    count = len(findings.recatalogued)
    if not count:
        return []
    return [
        f"catalogue: {count} {_many('video', count)} ({_shown(sorted(findings.recatalogued))}) had another length or "
        f"payee's viewer id when the views were counted than catalogue version {findings.catalogue_version} has; "
        f"a day is judged again when events of it arrive; accept its counts as they are {_by_flag('catalogue')}"
    ]


def _by_flag(kind: str) -> str:
    return f"with --waive {kind} --actor NAME"


def _many(noun: str, count: int) -> str:
    return noun if count == 1 else noun + "s"


def _shown(names: list[str]) -> str:
    more = len(names) - SHOWN_MAX
    return ", ".join(names[:SHOWN_MAX]) + (f" and {more} more" if more > 0 else "")
