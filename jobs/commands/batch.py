"""`./viewledger batch run|upgrade|versions`: archive, count, judge and publish; list versions."""

import json
from contextlib import closing
from dataclasses import asdict
from functools import partial

from prometheus_client import CollectorRegistry

from batch_layer.run.run_result import RunResult
from batch_layer.run.upgrade import upgrade_once
from batch_layer.versions.postgres_labels import labels
from batch_layer.versions.postgres_versions import PostgresVersionStore
from ingestion.contract.periods import Period
from ingestion.contract.printable import counted, escaped
from jobs import settings
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.wiring.batch_errors import errors_as_exit_codes
from jobs.wiring.batch_run import attempt, do_run, open_ports
from jobs.wiring.batch_settings import RunSettings
from jobs.wiring.observed_runs import ObservedRuns
from jobs.wiring.tracing import TraceSettings


def run(*, attempts: int, begin_at_oldest: bool, judge_period: Period | None, as_json: bool) -> ExitCode:
    """Do a batch run. Exit codes: 3 the gate failed, 4 a server is away, 5 refused, 6 a difference."""
    environ = settings.environment("PIPELINE")
    chosen, traces = RunSettings.from_environ(environ), TraceSettings.from_environ(environ)
    run_with = partial(do_run, chosen, begin_at_oldest=begin_at_oldest, judge_period=judge_period)
    with errors_as_exit_codes(), traces.opened("batch", CollectorRegistry()) as tracing:
        runs = ObservedRuns(tracing, {})
        result = attempt(lambda: runs.do(lambda observer: run_with(observer=observer)), attempts)
    if as_json:
        print(json.dumps(asdict(result), default=str))
    elif result.state == "nothing_new":
        print(f"nothing new since version {result.version}" if result.version else "nothing to count yet")
    else:
        print(
            f"version {result.version}: {counted(result.archived_count, 'event')} archived, "
            f"{result.accepted_count:,} late ones accepted, {counted(len(result.judged_days), 'day')} "
            f"judged, {counted(result.changed_video_count, 'video')} changed, settled until "
            f"{result.settled_until:%Y-%m-%d %H:%M:%S} UTC"
        )
    if result.differences:
        raise CommandError(
            f"version {result.version} is published and does not agree: {result.differences[0]}; nothing more is "
            "published or billed until ./viewledger reconcile finds no difference",
            ExitCode.DIFFERENCE,
        )
    return ExitCode.OK


def upgrade(*, attempts: int, as_json: bool) -> ExitCode:
    """Publish the tables of an earlier release again. Exit codes as for `run`."""
    chosen = RunSettings.from_environ(settings.environment("PIPELINE"))
    with errors_as_exit_codes():
        result = attempt(lambda: _upgraded(chosen), attempts)
    if as_json:
        print(json.dumps(asdict(result), default=str))
    elif result.state == "nothing_new":
        print(f"the tables of version {result.version} have today's layout already")
    else:
        print(
            f"version {result.version} has today's layout: "
            f"{counted(result.row_counts['raw_events'], 'event')} counted again, "
            f"{counted(result.changed_video_count, 'video')} changed by the newest catalogue"
        )
    return ExitCode.OK


def show_versions(*, limit: int, as_json: bool) -> ExitCode:
    """Print the newest published versions."""
    url = settings.PostgresConnection.from_environ(settings.environment("PIPELINE")).url
    with errors_as_exit_codes(), closing(PostgresVersionStore(url)) as store:
        found, named = store.versions(limit), labels(url)
    for each in found:
        if as_json:
            day_rules = {str(day): rules.to_json() for day, rules in each.day_rules.items()}
            print(json.dumps(asdict(each) | {"day_rules": day_rules, "label": named.get(each.version)}, default=str))
        else:
            label = escaped(named.get(each.version, ""))
            row = (
                f"{each.version:>6}  {each.published_at:%Y-%m-%d %H:%M:%S}  {each.row_counts['events']:>12,} events  "
                f"settled until {each.settled_until:%Y-%m-%d %H:%M:%S}  {each.run_id}  {label}"
            )
            print(row.rstrip())
    if not found and not as_json:
        print("nothing is published yet")
    return ExitCode.OK


def _upgraded(chosen: RunSettings) -> RunResult:
    with open_ports(chosen) as ports:
        return upgrade_once(ports)
