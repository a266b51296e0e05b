"""Wire what a payee is shown of their traffic, and their appeals about it, to the books in PostgreSQL."""

from collections import Counter
from collections.abc import Sequence
from datetime import date

from billing.books.postgres_traffic_appeals import PostgresTrafficAppeals
from billing.books.postgres_waiting import PostgresWaiting
from billing.books.traffic_appeals import TrafficAppeal
from billing.postgres_session import connector
from billing.waiting import TRAFFIC_GROUP
from ingestion.contract.requests import KeyReusedError, OpenAppealError, RequestKey
from ingestion.contract.traffic import CLASS_OF_CODE
from ingestion.contract.traffic_reasons import InvalidClass
from jobs.wiring.billing_settings import BILLING_ROLE
from serving_layer.access.postgres_reads import API_ROLE
from serving_layer.portal.ports import RefusedActionError
from serving_layer.portal.traffic_records import ReviewedViews, TrafficAppealRow

SHOWN_MAX = 500


class PayeeTrafficBooks:
    """Implements `serving_layer.portal.traffic_ports.PayeeTraffic`."""

    def __init__(self, url: str) -> None:
        reading = connector(url, API_ROLE)
        self._waiting = PostgresWaiting(reading)
        self._reads = PostgresTrafficAppeals(reading)
        self._writes = PostgresTrafficAppeals(connector(url, BILLING_ROLE))

    def under_review(self, payee_id: str) -> Sequence[ReviewedViews]:
        """See the port. A reason of a later release has no class here, and is left out."""
        events: Counter[tuple[date, InvalidClass]] = Counter()
        for each in self._waiting.of_payee(TRAFFIC_GROUP, payee_id):
            if (its_class := CLASS_OF_CODE.get(each.remark)) is not None:
                events[each.happened_at.date(), its_class] += each.event_count
        return [ReviewedViews(*key, count) for key, count in sorted(events.items(), reverse=True)][:SHOWN_MAX]

    def appeals(self, payee_id: str) -> Sequence[TrafficAppealRow]:
        """See the port."""
        return [appeal_row(each) for each in self._reads.appeals(payee_id)[:SHOWN_MAX]]

    def appeal(self, payee_id: str, day: date, invalid_class: InvalidClass, text: str, request: RequestKey) -> None:
        """See the port."""
        try:
            self._writes.file(payee_id, day, invalid_class, text, request)
        except KeyReusedError as error:
            raise RefusedActionError("This form was sent before with another text; open the page again.") from error
        except OpenAppealError as error:
            text = str(error)
            raise RefusedActionError(f"{text[0].upper()}{text[1:]}.") from error


def appeal_row(each: TrafficAppeal) -> TrafficAppealRow:
    """Return an appeal as pages show it."""
    return TrafficAppealRow(
        each.appeal_id,
        each.payee_id,
        each.day,
        each.invalid_class,
        each.objection,
        each.received_at,
        each.state,
        each.answer or "",
    )
