"""`./viewledger traffic …`: groups of events whose traffic is under review, and people's decisions about them."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from billing.books.group_decisions import StoredDecision, decide_group
from billing.books.postgres_traffic_decisions import PostgresTrafficDecisions
from billing.books.postgres_traffic_findings import PostgresTrafficFindings
from billing.postgres_session import connector
from billing.reviewed_groups import MoneyAtStake, money_at_stake
from billing.terms.postgres_catalogue import PostgresCatalogueStore
from ingestion.contract.day_traffic import TrafficOutcome
from ingestion.contract.traffic_groups import ReviewedGroup, TrafficGroup, time_left
from jobs.commands.billing.tables import aligned
from jobs.commands.billing.traffic_findings import finding_document, findings_text
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.settings.declared.servers import POSTGRES_URL
from jobs.wiring.billing_settings import REVIEWER_ROLE, billing_connector, show
from jobs.wiring.billing_work import billing_work
from jobs.wiring.settled_views import open_settled_views

SHOWN_MAX = 200


@billing_work
def review(environ: Mapping[str, str], *, as_json: bool) -> ExitCode:
    """Print the groups under review in the current version that nobody has decided on."""
    with open_settled_views(environ) as views:
        found = views.reviewed_groups()
    decisions = _decisions(environ)
    decided, expires = {each.decision.group for each in decisions.all()}, decisions.waiting()
    open_groups = [each for each in found if each.group not in decided]
    money = _money_at_stake(environ, open_groups)
    document = {
        "groups": [
            _group_document(each)
            | {"estimate_micros": money.by_group.get(each.group), "released_at": _instant(expires.get(each.group))}
            for each in open_groups
        ],
        "currency": money.currency,
    }
    show(document, lambda: _groups_text(open_groups, money, expires), as_json=as_json)
    return ExitCode.OK


@billing_work
def decide(
    environ: Mapping[str, str], *, group: str, released: bool, confirmed: bool, actor: str, reason: str, as_json: bool
) -> ExitCode:
    """Store a decision about a group; the next batch run applies it."""
    if released == confirmed:
        raise CommandError("give one of --release and --confirm: what happens to the group", ExitCode.BAD_INPUT)
    outcome = TrafficOutcome.RELEASED if released else TrafficOutcome.CONFIRMED

    def present() -> list[TrafficGroup]:
        with open_settled_views(environ) as views:
            return [each.group for each in views.reviewed_groups()]

    taken = decide_group(_decisions(environ), present, group, outcome, actor=actor, reason=reason)
    count, is_new, applied_by = taken.decision.group.event_count, taken.is_new, taken.version
    text = (
        f"{'' if is_new else 'as before: '}{count:,} event{'' if count == 1 else 's'} of group {group} {outcome.value}"
    )
    document = {"group": group, "outcome": outcome.value, "event_count": count, "new": is_new}
    what_next = f"version {applied_by} applied it" if applied_by else "the next batch run applies it to these events"
    show(document, lambda: f"{text}; {what_next}", as_json=as_json)
    return ExitCode.OK


@billing_work
def report(environ: Mapping[str, str], *, as_json: bool) -> ExitCode:
    """Print what the rules of periods found, every decision, and the versions that applied them."""
    decided = _decisions(environ).all()
    found = PostgresTrafficFindings(billing_connector(environ, REVIEWER_ROLE)).all()
    document = {"findings": list(map(finding_document, found)), "decisions": list(map(_decision_document, decided))}
    show(document, lambda: f"{findings_text(found)}\n\n{_report_text(decided)}", as_json=as_json)
    return ExitCode.OK


def _money_at_stake(environ: Mapping[str, str], groups: Sequence[ReviewedGroup]) -> MoneyAtStake:
    # by the login that reads the tables of the version: it reads the terms, too
    return money_at_stake(groups, PostgresCatalogueStore(connector(POSTGRES_URL.read(environ))))


def _decisions(environ: Mapping[str, str]) -> PostgresTrafficDecisions:
    return PostgresTrafficDecisions(billing_connector(environ, REVIEWER_ROLE))


def _groups_text(groups: Sequence[ReviewedGroup], money: MoneyAtStake, expires: Mapping[TrafficGroup, datetime]) -> str:
    if not groups:
        return "no group is under review"
    now = datetime.now(UTC)
    rows = [
        (each.group.name, time_left(expires.get(each.group), now), f"{each.group.event_count:,}",
         f"{each.waiting_count:,}", money.text(each.group), f"{each.video_count:,}",
         str(each.points_most), ", ".join(each.event_ids[:2]))
        for each in groups[:SHOWN_MAX]
    ]  # fmt: skip
    money_of = "would earn (estimate)"
    header = ("group", "released in", "events", "would be billable", money_of, "videos", "points", "some events")
    rest = [f"and {len(groups) - SHOWN_MAX} more; --json shows all"] if len(groups) > SHOWN_MAX else []
    return "\n".join([aligned(header, rows, left=1), *rest])


def _instant(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()


def _report_text(decisions: Sequence[StoredDecision]) -> str:
    if not decisions:
        return "nothing is decided yet"
    rows = [
        (each.decision.group.name, each.decision.outcome.value, f"{each.decision.group.event_count:,}",
         f"{each.decided_at:%Y-%m-%d %H:%M}", each.actor, each.reason, str(each.version or "-"))
        for each in decisions
    ]  # fmt: skip
    return aligned(("group", "decision", "events", "at", "by", "reason", "version"), rows, left=7)


def _of_group(group: TrafficGroup) -> dict[str, Any]:
    return {
        "group": group.name,
        "day": group.day.isoformat(),
        "rule": group.reason,
        "payee_id": group.payee_id,
        "event_count": group.event_count,
        "set_hash": group.set_hash,
    }


def _group_document(each: ReviewedGroup) -> dict[str, Any]:
    return _of_group(each.group) | {
        "waiting_count": each.waiting_count,
        "video_count": each.video_count,
        "points_most": each.points_most,
        "event_ids": list(each.event_ids),
    }


def _decision_document(each: StoredDecision) -> dict[str, Any]:
    return _of_group(each.decision.group) | {
        "decision": each.decision.outcome.value,
        "actor": each.actor,
        "reason": each.reason,
        "decided_at": each.decided_at.isoformat(),
        "is_expiry": each.is_expiry,
        "version": each.version,
    }
