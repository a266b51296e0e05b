"""`./viewledger batch run|versions`: archive, count, judge and publish; look."""

import argparse
import json
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict
from typing import TYPE_CHECKING

from batch_layer.run.run import run_once
from batch_layer.run.run_result import RunResult
from batch_layer.versions.postgres_versions import PostgresVersionStore
from jobs import settings
from jobs.commands.flags import whole_number
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.wiring.batch_settings import BatchSettings

if TYPE_CHECKING:
    pass
from jobs.wiring.batch_run import attempt, note_open_differences, open_ports, told_by_exit_code


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the actions and their flags."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="run|versions")
    run_parser = actions.add_parser("run", help="archive what is new, count it and publish a version")
    versions_parser = actions.add_parser("versions", help="list the newest published versions")
    add_attempts(run_parser)
    run_parser.add_argument(
        "--begin-at-oldest",
        action="store_true",
        help="let the first version begin where the log begins now, without what the broker has already deleted",
    )
    versions_parser.add_argument("--limit", type=whole_number, default=10, help="how many (default 10)")
    for each in (run_parser, versions_parser):
        each.add_argument("--json", action="store_true", help="print the result as JSON")


def add_attempts(parser: argparse.ArgumentParser) -> None:
    """Declare `--attempts`."""
    parser.add_argument(
        "--attempts", type=whole_number, default=3, help="tries when a server does not answer (default 3)"
    )


def checked_attempts(arguments: argparse.Namespace) -> int:
    """Return `--attempts`, or refuse it."""
    return _within(arguments, "attempts", 20)


def _within(arguments: argparse.Namespace, name: str, most: int) -> int:
    value: int = getattr(arguments, name)
    if not 1 <= value <= most:
        raise CommandError(f"--{name} must be from 1 to {most}", ExitCode.BAD_INPUT)
    return value


def run(arguments: argparse.Namespace) -> ExitCode:
    """See the exit codes: 3 gate failed, 4 a server is away, 5 refused, 6 a difference."""
    return ACTIONS[arguments.action](arguments)


def run_batch(arguments: argparse.Namespace) -> ExitCode:
    """`batch run`."""
    attempts = checked_attempts(arguments)
    chosen = BatchSettings.from_environ(settings.environment("PIPELINE"))
    with told_by_exit_code():
        result = attempt(lambda: _run_once(chosen, begin_at_oldest=arguments.begin_at_oldest), attempts)
    if arguments.json:
        print(json.dumps(asdict(result), default=str))
    elif result.state == "nothing_new":
        print(f"nothing new since version {result.version}" if result.version else "nothing to count yet")
    else:
        print(
            f"version {result.version}: {result.archived_count:,} events archived, "
            f"{result.accepted_count:,} late ones accepted, {len(result.judged_days)} days "
            f"judged, {result.changed_video_count:,} videos changed, settled until "
            f"{result.settled_until:%Y-%m-%d %H:%M:%S} UTC"
        )
    if result.differences:
        raise CommandError(
            f"version {result.version} is published and does not agree: {result.differences[0]}; nothing more is "
            "published or billed until ./viewledger reconcile finds no difference",
            ExitCode.DIFFERENCE,
        )
    return ExitCode.OK


def show_versions(arguments: argparse.Namespace) -> ExitCode:
    """`batch versions`."""
    limit = _within(arguments, "limit", 10_000)
    chosen = BatchSettings.from_environ(settings.environment("PIPELINE"))
    with told_by_exit_code(), closing(PostgresVersionStore(chosen.postgres_url)) as store:
        found = store.versions(limit)
    for each in found:
        if arguments.json:
            day_rules = {str(day): asdict(rules) for day, rules in each.day_rules.items()}
            print(json.dumps(asdict(each) | {"day_rules": day_rules}, default=str))
        else:
            print(
                f"{each.version:>6}  {each.published_at:%Y-%m-%d %H:%M:%S}  {each.row_counts['events']:>12,} events  "
                f"settled until {each.settled_until:%Y-%m-%d %H:%M:%S}  {each.run_id}"
            )
    if not found and not arguments.json:
        print("nothing is published yet")
    return ExitCode.OK


ACTIONS: dict[str, Callable[[argparse.Namespace], ExitCode]] = {"run": run_batch, "versions": show_versions}


def _run_once(chosen: BatchSettings, *, begin_at_oldest: bool) -> RunResult:
    with open_ports(chosen) as ports:
        try:
            return run_once(ports, chosen.topic, begin_at_oldest=begin_at_oldest)
        finally:
            note_open_differences(chosen, ports.reconcile.reconciliations)
