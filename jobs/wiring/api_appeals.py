"""Wire appeals into the API: the books behind serving's port, each call with the rights of the role it needs."""

from billing.books.postgres_holds import FiledAppeal, PostgresHolds
from billing.postgres_session import connector
from ingestion.contract.requests import RequestKey
from jobs.wiring.billing_settings import BILLING_ROLE
from serving_layer.access.postgres_reads import API_ROLE
from serving_layer.money.appeals import AppealReceipt


class BooksAppeals:
    """See the port `Appeals`."""

    def __init__(self, url: str) -> None:
        self._reads = PostgresHolds(connector(url, API_ROLE))
        self._writes = PostgresHolds(connector(url, BILLING_ROLE))

    def answered(self, statement_id: str, request: RequestKey) -> AppealReceipt | None:
        """See the port."""
        filed = self._reads.appeal_answered(request)
        return None if filed is None else _receipt(filed, statement_id)

    def file(self, statement_id: str, objection: str, request: RequestKey) -> AppealReceipt:
        """See the port."""
        filed = self._writes.appeal(statement_id, objection, request.caller, request)
        return _receipt(filed, statement_id)


def _receipt(filed: FiledAppeal, statement_id: str) -> AppealReceipt:
    return AppealReceipt(filed.appeal_id, statement_id, filed.received_at)
