"""Wires appeals into the API: the books behind serving's port, each call with the rights of the role it needs."""

from collections.abc import Iterator
from contextlib import contextmanager

from billing.books.postgres_holds import FiledAppeal, PostgresHolds
from billing.errors import OpenAppealError, RequestKeyReusedError
from billing.postgres_answered_requests import RequestKey
from billing.postgres_session import connector
from jobs.wiring.billing_settings import BILLING_ROLE
from serving_layer.access.postgres_reads import API_ROLE
from serving_layer.money import appeals, idempotency
from serving_layer.money.appeals import AppealReceipt


class BooksAppeals:
    """See the port `Appeals`."""

    def __init__(self, url: str) -> None:
        self._reads = PostgresHolds(connector(url, API_ROLE))
        self._writes = PostgresHolds(connector(url, BILLING_ROLE))

    def answered(self, statement_id: str, request: idempotency.RequestKey) -> AppealReceipt | None:
        """See the port."""
        with _translated():
            filed = self._reads.appeal_answered(stored_key(request))
        return None if filed is None else _receipt(filed, statement_id)

    def file(self, statement_id: str, objection: str, request: idempotency.RequestKey) -> AppealReceipt:
        """See the port."""
        with _translated():
            filed = self._writes.appeal(statement_id, objection, request.caller, stored_key(request))
        return _receipt(filed, statement_id)


def stored_key(request: idempotency.RequestKey) -> RequestKey:
    """Return serving's key as billing stores it."""
    return RequestKey(request.caller, request.key, request.inputs_hash)


def _receipt(filed: FiledAppeal, statement_id: str) -> AppealReceipt:
    return AppealReceipt(filed.appeal_id, statement_id, filed.received_at)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except RequestKeyReusedError as error:
        raise idempotency.KeyReusedError(str(error)) from error
    except OpenAppealError as error:
        raise appeals.OpenAppealError(str(error)) from error
