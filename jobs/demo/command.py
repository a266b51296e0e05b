"""`./viewledger demo`: one small day through the whole pipeline; ends with a table whose differences must be 0."""

import argparse
import json
import re
import shutil
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from datetime import UTC, datetime

from jobs.commands.flags import whole_number
from jobs.demo.comparison import Row, render
from jobs.demo.sample import read_video_days
from jobs.demo.steps import Demo
from jobs.demo.traffic import Traffic, make_traffic
from jobs.exit_codes import ExitCode
from jobs.local_stack.stack import LocalStack
from jobs.settings.state_home import state_home

PROCESSES = ("collector", "speed", "api")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command's flags."""
    parser.add_argument("--events", type=_event_count, default=200_000, help="events to send (default 200000)")
    parser.add_argument("--seed", type=whole_number, default=20261123, help="the same seed gives the same traffic")
    parser.add_argument("--keep", action="store_true", help="leave the stack running; ./viewledger down stops it")
    parser.add_argument("--json", action="store_true", help="print the result as one JSON document")


def _event_count(text: str) -> int:
    if not re.fullmatch("[0-9]{1,9}", text) or not 20_000 <= int(text) <= 5_000_000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 20000 to 5000000")
    return int(text)


def run(arguments: argparse.Namespace) -> ExitCode:
    """Run the demo on a stack of its own that starts empty; exits with 6 when a number differs from the truth."""
    started = time.monotonic()

    def tell(text: str) -> None:
        print(f"demo {time.monotonic() - started:6.1f} s  {text}", file=sys.stderr, flush=True)

    folder = state_home() / "demo"
    earlier = LocalStack.attach(folder)
    if earlier is not None:
        tell("stopping the stack that an earlier demo --keep left running")
        earlier.stop()
    shutil.rmtree(folder, ignore_errors=True)
    now = datetime.now(UTC)
    keep = False
    with ThreadPoolExecutor(1) as pool:
        making = pool.submit(make_sample_traffic, arguments, now)
        tell("starting Kafka, HDFS, Redis, PostgreSQL and viewledger's own processes")
        stack = LocalStack.start(folder, processes=PROCESSES, detached=arguments.keep, tell=tell)
        try:
            traffic = making.result()
            tell(f"made about {arguments.events:,} events with their truth (seed {arguments.seed})")
            demo = Demo(stack, tell)
            rows = demo.run(traffic, now.date())
            report(demo, rows, arguments, seconds=time.monotonic() - started)
            keep = arguments.keep
        finally:
            if not keep:
                tell("stopping the stack")
                stack.stop()
    return ExitCode.DIFFERENCE if any(row.difference for row in rows) else ExitCode.OK


def make_sample_traffic(arguments: argparse.Namespace, now: datetime) -> Traffic:
    """Return the traffic that the flags ask for."""
    return make_traffic(read_video_days(now.date()), event_count=arguments.events, now=now, seed=arguments.seed)


def report(demo: Demo, rows: Sequence[Row], arguments: argparse.Namespace, *, seconds: float) -> None:
    """Print the table, the speeds and a call to look at."""
    if arguments.json:
        document = {
            "rows": [asdict(row) | {"difference": row.difference} for row in rows],
            "freshness_seconds": demo.freshness_seconds,
            "events_per_second": demo.events_per_second,
            "seconds": round(seconds, 1),
            "call": demo.sample_call,
        }
        print(json.dumps(document, indent=2))
        return
    wrong = sum(row.difference != 0 for row in rows)
    print(render(rows))
    print()
    for name, rate in demo.events_per_second.items():
        print(f"{name}: {rate:,} events/s")
    for name, value in demo.freshness_seconds.items():
        print(f"freshness {name} (append to countable, live traffic): {value:.3f} s")
    print(f"{demo.sample_call} answers {demo.sample_answer}")
    if arguments.keep:
        print("The stack stays up; ./viewledger down stops it.")
    else:
        print("Run with --keep to leave the stack up and look around.")
    print(f"{f'{wrong} ROWS DIFFER' if wrong else 'Every difference is 0'}; the demo took {seconds:.0f} s.")
