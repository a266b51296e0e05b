"""Wire a proposed policy of traffic for trying it: its file over the newest policy, and what judges days by it."""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from pathlib import Path

from batch_layer.judging.postgres_policies import counting_policies
from batch_layer.stages import Progress
from billing.ports import SettledViews, TriedTraffic
from billing.terms.file_policies import read_traffic_policy
from billing.terms.postgres_policies import PostgresPolicies
from ingestion.contract.traffic_policy import SHIPPED, TrafficPolicy
from jobs import settings
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.wiring.settled_views import settled_views_in, version_session
from jobs.wiring.traffic_rules import traffic_rules

Trial = Callable[[Collection[date], Progress], TriedTraffic]
"""Judges some judged days of the version again."""


def proposed_traffic_policy(store: PostgresPolicies, file: Path) -> TrafficPolicy:
    """Return the policy of a file, with the values of the newest in force, or of the shipped one, where it has none.

    Raises:
        CommandError: a program of another release wrote the newest policy.
        FileRefusedError: names every problem of the file.
    """
    try:
        before = store.newest_traffic() or SHIPPED
    except ValueError as error:
        raise CommandError(f"{error}; use the program that proposed it, or a newer one", ExitCode.REFUSED) from error
    return read_traffic_policy(file, before)


@contextmanager
def open_traffic_trial(environ: Mapping[str, str], policy: TrafficPolicy) -> Iterator[tuple[SettledViews, Trial]]:
    """Yield the settled views of the current version, and what judges days of it by a policy; stores nothing.

    Raises as `open_settled_views`.
    """
    url = settings.PostgresConnection.from_environ(environ).url
    with version_session(environ) as (session, version):
        # imported here: Spark takes a second to load, which a refusal need not wait for
        from batch_layer.judging.spark_catalogue import SparkCatalogueFacts
        from batch_layer.settled.spark_tried_traffic import TrafficTrial

        catalogue = SparkCatalogueFacts(session, url)
        trial = TrafficTrial(session, version, traffic_rules([policy]), catalogue, counting_policies(url))
        yield settled_views_in(session, version, url), trial.judge
