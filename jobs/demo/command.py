"""`./viewledger demo`: one small day through the whole pipeline; ends with a table whose differences must be 0."""

import json
import shutil
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from datetime import UTC, datetime

from ingestion.contract.printable import counted
from jobs.demo.comparison import ComparedRow, render
from jobs.demo.maker import Traffic
from jobs.demo.sample import first_ruled_day, read_video_days
from jobs.demo.steps import Demo
from jobs.demo.traffic import make_traffic
from jobs.exit_codes import ExitCode
from jobs.local_stack.stack import LocalStack
from jobs.settings.declared.pipeline import TRAFFIC_RULED_FROM
from jobs.settings.stack_in_use import refuse_second_stack
from jobs.settings.state_home import state_home

PROCESSES = ("collector", "speed", "api")


def run(*, events: int, seed: int, keep: bool, as_json: bool) -> ExitCode:
    """Run the demo on a stack of its own that starts empty; exit with 6 if a number differs from the truth."""
    started = time.monotonic()

    def tell(text: str) -> None:
        print(f"demo {time.monotonic() - started:6.1f} s  {text}", file=sys.stderr, flush=True)

    folder = state_home() / "demo"
    if keep:
        refuse_second_stack(folder)
    earlier = LocalStack.attach(folder)
    if earlier is not None:
        tell("stopping the stack that an earlier demo --keep left running")
        earlier.stop()
    shutil.rmtree(folder, ignore_errors=True)
    now = datetime.now(UTC)
    left_running = False
    with ThreadPoolExecutor(1) as pool:
        making = pool.submit(make_sample_traffic, now, event_count=events, seed=seed)
        tell("starting Kafka, HDFS, Redis, PostgreSQL and viewledger's own processes")
        # for this stack the days of the sample have not begun, so rules of the day can judge them
        settings = {TRAFFIC_RULED_FROM.name: first_ruled_day(now.date()).isoformat()}
        stack = LocalStack.start(folder, processes=PROCESSES, detached=keep, settings=settings, tell=tell)
        try:
            traffic = making.result()
            tell(f"made about {counted(events, 'event')} with their truth (seed {seed})")
            demo = Demo(stack, tell)
            rows = demo.run(traffic, now.date())
            report(demo, rows, seconds=time.monotonic() - started, kept=keep, as_json=as_json)
            left_running = keep
        finally:
            if not left_running:
                tell("stopping the stack")
                stack.stop()
    return ExitCode.DIFFERENCE if any(row.difference for row in rows) else ExitCode.OK


def make_sample_traffic(now: datetime, *, event_count: int, seed: int) -> Traffic:
    """Return the traffic that the flags describe."""
    return make_traffic(read_video_days(now.date()), event_count=event_count, now=now, seed=seed)


def report(demo: Demo, rows: Sequence[ComparedRow], *, seconds: float, kept: bool, as_json: bool) -> None:
    """Print the table, the speeds and a call to look at."""
    if as_json:
        document = {
            "rows": [asdict(row) | {"difference": row.difference} for row in rows],
            "freshness_seconds": demo.freshness_seconds,
            "events_per_second": demo.events_per_second,
            "seconds": round(seconds, 1),
            "call": demo.sample_call,
            "payee": demo.sample_payee,
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
    if kept:
        print(f"Look around at {demo.api_url}/portal: sign in with a token from one of these commands.")
        print(f"  ./viewledger token --role creator --payee {demo.sample_payee}")
        for role in ("finance", "operator", "auditor", "reviewer"):
            print(f"  ./viewledger token --role {role}")
        print("Looking up single events needs the SQL server, which ./viewledger run sql starts in another terminal.")
        print("Analysts need no token: docs/operate/analysts.md shows SQL on the tables and the reporting schema.")
        print("The stack stays up; ./viewledger down stops it.")
    else:
        print("Run with --keep to leave the stack up and look around.")
    print(f"{f'{wrong} ROWS DIFFER' if wrong else 'Every difference is 0'}; the demo took {seconds:.0f} s.")
