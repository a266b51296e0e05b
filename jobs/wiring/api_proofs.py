"""The API's answers about single events, wired on the first request for one.

Their client of the SQL server is loaded only then: an API that only shows views starts sooner and is smaller.
"""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from threading import Lock
from typing import TYPE_CHECKING

from serving_layer.money.proofs import EventPayment, PaidEvent, ProvenStatement
from serving_layer.routes.http_proofs import STREAMS_MAX, Proofs

if TYPE_CHECKING:
    from jobs.wiring.event_proofs import ServedProofs


@contextmanager
def open_api_proofs(environ: Mapping[str, str]) -> Iterator[Proofs]:
    """Yield the parts of the API's routes of single events."""
    with ThreadPoolExecutor(STREAMS_MAX, thread_name_prefix="proofs") as executor, ExitStack() as opened:
        on_demand = _OnDemand(environ, opened)
        yield Proofs(on_demand, on_demand, executor)


class _OnDemand:
    """Implements `StatementEvents` and `EventPayments` of `serving_layer.money.proofs`."""

    def __init__(self, environ: Mapping[str, str], opened: ExitStack) -> None:
        self._environ = environ
        self._opened = opened
        self._served: ServedProofs | None = None
        self._lock = Lock()

    def statement(self, statement_id: str) -> ProvenStatement | None:
        """See the port."""
        return self._proofs().statement(statement_id)

    def events(self, statement_id: str, after: int) -> Iterator[PaidEvent]:
        """See the port."""
        return self._proofs().events(statement_id, after)

    def payment(self, event_id: str) -> EventPayment:
        """See the port."""
        return self._proofs().payment(event_id)

    def _proofs(self) -> "ServedProofs":
        with self._lock:
            if self._served is None:
                from jobs.wiring.event_proofs import ServedProofs, open_event_answers

                self._served = ServedProofs(self._opened.enter_context(open_event_answers(self._environ)))
            return self._served
