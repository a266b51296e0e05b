"""PostgreSQL's primary is killed and its standby promoted, while our own classes write and read by one URL."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from itertools import pairwise

import pytest

from billing.errors import BillingError
from billing.postgres_session import connector
from billing.terms.catalogue import Catalogue, Payee
from billing.terms.postgres_catalogue import PostgresCatalogueStore
from faults.postgres_database import queries
from faults.postgres_servers import PostgresPair, postgres_pair
from faults.waiting import until
from ingestion.contract.unavailable import UnavailableError
from jobs.local_stack.stack import temporary_folder
from jobs.wiring.migrations import migrate
from serving_layer.access.postgres_reads import PostgresReads
from speed_layer.postgres_replays import PostgresReplays

RECOVERED_SECONDS_MAX = 30.0
TOPIC = "video-views"


@dataclass
class Work:
    """What was answered, by the instant of the answer; each piece of work is done again until it is."""

    pair: PostgresPair
    answered: dict[str, list[float]] = field(default_factory=lambda: {"replays": [], "imports": [], "reads": []})
    is_over: threading.Event = field(default_factory=threading.Event)

    def replay(self) -> None:
        replays = PostgresReplays(self.pair.url, TOPIC)
        self._often("replays", lambda number: replays.remember(0, number, "test"))

    def import_terms(self) -> None:
        store = PostgresCatalogueStore(connector(self.pair.url))
        self._often("imports", lambda number: store.import_catalogue(self.catalogue(number), f"test {number}"))

    def read(self) -> None:
        with closing(PostgresReads(self.pair.url)) as reads:
            self._often("reads", lambda _: reads.query("SELECT count(*) FROM published.versions", ()))

    @staticmethod
    def catalogue(number: int) -> Catalogue:
        return Catalogue((Payee(f"payee-{number}", f"Payee {number}"),), (), ())

    def _often(self, what: str, do: Callable[[int], object]) -> None:
        while not self.is_over.is_set():
            try:
                do(len(self.answered[what]))
            except (UnavailableError, BillingError):
                time.sleep(0.05)
            else:
                self.answered[what].append(time.monotonic())


@pytest.fixture
def pair() -> Iterator[PostgresPair]:
    with temporary_folder() as folder, postgres_pair(folder, {}) as running:
        migrate(running.url)
        yield running


def test_nothing_that_was_answered_is_lost_with_the_primary(pair: PostgresPair) -> None:
    work = Work(pair)
    threads = [threading.Thread(target=each) for each in (work.replay, work.import_terms, work.read)]
    for each in threads:
        each.start()
    try:
        until(lambda: all(len(times) > 20 for times in work.answered.values()), 60, "everything is answered")
        killed_at = pair.fail_over()
        until(
            lambda: all(times[-5] > killed_at for times in work.answered.values()),
            RECOVERED_SECONDS_MAX,
            "everything is answered by the new primary",
        )
        longest = {what: max(b - a for a, b in pairwise(times)) for what, times in work.answered.items()}
    finally:
        work.is_over.set()
        for each in threads:
            each.join(60)
    print("the longest time without an answer, in seconds:", {what: round(each, 2) for what, each in longest.items()})
    replays, imports = len(work.answered["replays"]), len(work.answered["imports"])
    found = queries(pair.url, f"SELECT \"offset\" FROM ingestion.replays WHERE topic = '{TOPIC}' ORDER BY 1")
    assert [offset for (offset,) in found][:replays] == list(range(replays))
    assert len(found) <= replays + 1, "the one under way may be stored without its answer"
    sources = queries(pair.url, "SELECT source FROM billing.catalogue_versions ORDER BY catalogue_version")
    assert [source for (source,) in sources][:imports] == [f"test {number}" for number in range(imports)]
    assert len(sources) <= imports + 1, "each was imported once, whether its answer came or not"
