"""Wire the API's reads of the past: sums at published versions, and the owners of videos."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import UTC, datetime

from billing.terms.postgres_channels import ChannelQueries
from jobs.resilience.circuit_breaker import CircuitBreaker
from serving_layer.access.postgres_reads import PooledReads
from serving_layer.counts.merge import ServedVersion
from serving_layer.history.history_reader import HistoryReader
from serving_layer.history.ports import QueryTooSlowError
from serving_layer.history.postgres_history import CONNECTIONS, PostgresHistory
from serving_layer.request.cursors import Cursors
from serving_layer.routes.http_history import History


@contextmanager
def open_history(
    url: str,
    key: bytes,
    *,
    breaker: CircuitBreaker,
    current: Callable[[], ServedVersion | None],
    counts_are_public: bool,
) -> Iterator[History]:
    """Yield the history; its queries use connections and threads of their own, never those of counts."""
    reads = PooledReads(url, QueryTooSlowError, connections=CONNECTIONS)
    with (
        closing(PostgresHistory(url)) as history,
        closing(reads),
        ThreadPoolExecutor(2 * CONNECTIONS, thread_name_prefix="history") as executor,
    ):
        reader = HistoryReader(
            breaker.on(
                history,
                PostgresHistory.version,
                PostgresHistory.version_at,
                PostgresHistory.counts,
                PostgresHistory.totals,
                PostgresHistory.series,
                PostgresHistory.top,
                PostgresHistory.invalid,
            ),
            breaker.on(
                ChannelQueries(reads.query),
                ChannelQueries.video_ids,
                ChannelQueries.shares,
                ChannelQueries.payees,
                ChannelQueries.titles,
            ),
            executor,
            current=current,
        )
        yield History(reader, Cursors(key), lambda: datetime.now(UTC), counts_are_public)
