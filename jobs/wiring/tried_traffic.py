"""Wire a proposed policy of traffic for trying it: its file over the newest policy, and what judges days by it."""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
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
from jobs.wiring.traffic_rules import key_of_allowed, traffic_rules

Trial = Callable[[Collection[date], Progress], TriedTraffic]
"""Judges some judged days of the version again."""


def proposed_traffic_policy(store: PostgresPolicies, file: Path, first_on: date = date.min) -> TrafficPolicy:
    """Return the policy of a file, with the values of the newest in force, or of the shipped one, where it has none.

    Of the newest one's allow-list it has the entries that hold on `first_on`.

    Raises:
        CommandError: a program of another release wrote the newest policy.
        FileRefusedError: names every problem of the file.
    """
    try:
        before = store.newest_traffic() or SHIPPED
    except ValueError as error:
        raise CommandError(f"{error}; use the program that proposed it, or a newer one", ExitCode.REFUSED) from error
    still_allowed = tuple(each for each in before.allowed if each.until > first_on)
    return read_traffic_policy(file, replace(before, allowed=still_allowed))


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
        rules = traffic_rules([policy], key_of_allowed(environ, session, [policy]))
        trial = TrafficTrial(session, version, rules, catalogue, counting_policies(url))
        yield settled_views_in(session, version, url), trial.judge
