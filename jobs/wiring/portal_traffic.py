"""Wire the pages of those who decide on traffic to PostgreSQL, with the rights of the role of these decisions."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

from billing.books.group_decisions import StoredDecision, decide_group, group_named
from billing.books.postgres_reviewed_groups import GroupToDecide, PostgresReviewedGroups
from billing.books.postgres_traffic_appeals import PostgresTrafficAppeals
from billing.books.postgres_traffic_decisions import PostgresTrafficDecisions
from billing.errors import StateError, UnknownNameError
from billing.postgres_session import connector
from billing.terms.postgres_catalogue import PostgresCatalogueStore
from billing.terms.postgres_policies import PostgresPolicies
from ingestion.contract.allowed_traffic import AllowedInForce
from ingestion.contract.day_traffic import TrafficOutcome
from ingestion.contract.traffic import CLASS_OF_CODE
from ingestion.contract.traffic_groups import TrafficGroup
from jobs.wiring.billing_settings import REVIEWER_ROLE
from jobs.wiring.portal_payee_traffic import appeal_row
from serving_layer.access.postgres_reads import API_ROLE
from serving_layer.portal.ports import RefusedActionError
from serving_layer.portal.traffic_records import DecidedRow, GroupDetail, GroupRow, TrafficAppealRow

DECISIONS_SHOWN = 50
_LAST = datetime.max.replace(tzinfo=UTC)


class PortalGroupReviews:
    """Implements `serving_layer.portal.traffic_ports.GroupReviews`."""

    def __init__(self, url: str) -> None:
        deciding = connector(url, REVIEWER_ROLE)
        self._groups = PostgresReviewedGroups(deciding)
        self._decisions = PostgresTrafficDecisions(deciding)
        self._appeals = PostgresTrafficAppeals(deciding)
        self._catalogue = PostgresCatalogueStore(connector(url, API_ROLE))
        self._policies = PostgresPolicies(connector(url, API_ROLE))

    def groups(self) -> Sequence[GroupRow]:
        """See the port."""
        found = self._groups.to_decide()
        found.sort(key=lambda each: (each.released_at or _LAST, -(each.estimate_micros or 0), each.group))
        return self._rows(found)

    def group(self, name: str) -> GroupDetail | None:
        """See the port."""
        decisions = self._decisions.all()
        if (decided := next((each for each in decisions if each.decision.group.name == name), None)) is not None:
            raise RefusedActionError(_decided_sentence(decided))
        found = self._groups.to_decide()
        try:
            group = group_named(name, [each.group for each in found])
        except UnknownNameError:
            return None
        except StateError as error:
            raise RefusedActionError(_sentence(error)) from error
        chosen = next(each for each in found if each.group == group)
        before = [each for each in reversed(decisions) if each.decision.group.payee_id == group.payee_id]
        return GroupDetail(
            self._rows([chosen])[0],
            chosen.points_most,
            self._groups.evidence(group),
            tuple(map(_decided, before[:DECISIONS_SHOWN])),
            tuple(
                appeal_row(each)
                for each in self._appeals.appeals(group.payee_id)
                if (each.day, each.invalid_class) == (group.day, CLASS_OF_CODE.get(group.reason))
            ),
            tuple(each for each in self.allowed() if each.holds_on(group.day)),
        )

    def decided(self) -> Sequence[DecidedRow]:
        """See the port."""
        return [_decided(each) for each in reversed(self._decisions.all()[-DECISIONS_SHOWN:])]

    def allowed(self) -> Sequence[AllowedInForce]:
        """See the port."""
        return self._policies.allowed()

    def decide(self, name: str, outcome: str, actor: str, reason: str) -> None:
        """See the port."""

        def present() -> list[TrafficGroup]:
            return [each.group for each in self._groups.to_decide()]

        with _translated():
            decide_group(self._decisions, present, name, TrafficOutcome(outcome), actor=actor, reason=reason)

    def open_appeals(self) -> Sequence[TrafficAppealRow]:
        """See the port."""
        return [appeal_row(each) for each in reversed(self._appeals.appeals()) if each.answer is None]

    def answer(self, appeal_id: str, text: str, actor: str) -> None:
        """See the port."""
        with _translated():
            self._appeals.answer(appeal_id, text, actor)

    def _rows(self, found: Sequence[GroupToDecide]) -> list[GroupRow]:
        names = self._catalogue.payee_names(sorted({each.group.payee_id for each in found}))
        return [
            GroupRow(
                each.group.name,
                each.group.day,
                each.group.reason,
                each.group.payee_id,
                names.get(each.group.payee_id, ""),
                each.group.event_count,
                each.released_at,
                each.waiting_count,
                each.video_count,
                each.estimate_micros,
                each.currency,
                each.counted_at,
                each.batch_version,
            )
            for each in found
        ]


def _decided(each: StoredDecision) -> DecidedRow:
    decision = each.decision
    return DecidedRow(
        decision.group.name,
        decision.outcome.value,
        each.actor,
        each.reason,
        each.decided_at,
        each.is_expiry,
        each.version,
    )


def _decided_sentence(each: StoredDecision) -> str:
    return f"Group {each.decision.group.name} was {each.decision.outcome.value} by {each.actor}: {each.reason}."


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except StateError as error:
        raise RefusedActionError(_sentence(error)) from error


def _sentence(error: StateError) -> str:
    text = str(error)
    return f"{text[0].upper()}{text[1:]}."
