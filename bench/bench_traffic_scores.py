"""What the whole product says of labelled traffic: sent to Kafka, judged by a batch run, read from what it published.

    python -m bench.bench_traffic_scores FOLDER [FOLDER ...]

A FOLDER holds a stream of somebody else's families: `events.kafka.jsonl`, `labels.csv`, `payees.csv` and `videos.csv`.
Its days must have ended at least 24 hours ago, and have begun at most 35 days ago. Each folder has servers of its own,
one `batch run --judge-period` over all of its days, and one more run, which must find nothing new.
FOLDER/verdicts.csv gets a row for each message: event_id, verdict (`under_review` where a person must decide, whether
or not the view is billable), reasons and billability, for another score.
"""

import argparse
import csv
import json
import os
import subprocess
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from kafka import KafkaProducer

from batch_layer.lake.iceberg_tables import IcebergTables
from batch_layer.lake.tables import EVENTS, TRAFFIC_OUTCOMES
from bench.bench_cluster import Peaks
from bench.labelled.files import read_events
from bench.labelled.score import Score
from bench.labelled.world import Label
from ingestion.contract.counting import Billability, Verdict
from ingestion.contract.day_traffic import TrafficOutcome
from ingestion.contract.periods import Period
from ingestion.contract.topics import TOPIC_VIDEO_VIEWS
from ingestion.contract.traffic_reasons import PeriodReason
from jobs.demo.catalogue_files import RATES_FILE
from jobs.local_stack.servers import our_command
from jobs.local_stack.stack import LocalStack, temporary_folder
from jobs.settings.declared.pipeline import TRAFFIC_RULED_FROM
from jobs.settings.declared.servers import KAFKA_BOOTSTRAP
from jobs.settings.state_home import PROJECT
from jobs.setup.programs import with_java_home
from jobs.wiring.settled_views import version_session

FILES = ("events.kafka.jsonl", "labels.csv", "payees.csv", "videos.csv")
OF_PERIODS = frozenset(each.code for each in PeriodReason)
UNDER_REVIEW = str(Billability.UNDER_REVIEW)
COPIES = frozenset(map(str, (Verdict.DUPLICATE, Verdict.CONFLICT, Verdict.REJECTED, Verdict.LATE_REVIEW)))


class Judged(NamedTuple):
    """What a version says of one message."""

    event_id: str
    verdict: str
    """As the table `events` has it, or `under_review`."""
    reasons: tuple[str, ...]
    billability: str | None
    group: tuple[str, str, str | None] | None
    """Day, reason and payee of an event that a person must decide on."""


def main() -> None:
    """Print the figures of each folder."""
    wanted = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    wanted.add_argument("folders", type=Path, nargs="+", metavar="FOLDER")
    folders = wanted.parse_args().folders
    for folder in folders:
        if missing := [name for name in FILES if not (folder / name).is_file()]:
            wanted.error(f"{folder} has no {missing[0]}; a stream needs {', '.join(FILES)}")
    for folder in folders:
        judged = judge(folder)
        with (folder / "verdicts.csv").open("w", newline="", encoding="utf-8") as file:
            rows = ((each.event_id, each.verdict, ";".join(each.reasons), each.billability) for each in judged)
            csv.writer(file).writerows([("event_id", "verdict", "reasons", "billability"), *rows])
        print_figures(folder, judged)


def judge(folder: Path) -> list[Judged]:
    """Return what the product says of every message of a stream; print what that took."""
    events = folder / "events.kafka.jsonl"
    period = days_of(events)
    ruled = {TRAFFIC_RULED_FROM.name: str(period.start_on)}
    servers = ("kafka", "redis", "postgres", "hdfs")
    with (
        temporary_folder() as own,
        LocalStack.start(own / "stack", servers=servers, settings=ruled) as stack,
    ):
        environ = {**with_java_home(os.environ), **stack.environment, **ruled, "PYTHONPATH": str(PROJECT)}
        files = {name: str(folder / f"{name}.csv") for name in ("payees", "videos")}
        command(environ, "billing", "catalogue", "import", "--payees", files["payees"], "--videos", files["videos"],
                "--rates", str(RATES_FILE))  # fmt: skip
        count = send(stack.environment[KAFKA_BOOTSTRAP.name], events)
        result = command(environ, "batch", "run", "--judge-period", str(period))
        if result["archived_count"] != count or result["differences"]:
            raise SystemExit(f"archived {result['archived_count']:,} of {count:,}, differences {result['differences']}")
        print(f"{count:,} messages, {period}, {len(result['judged_days'])} days judged; {result['verdicts']}")
        print("more a review than a verdict, since it suddenly was so much: " + ", ".join(result["reasons_to_review"]))
        if (again := command(environ, "batch", "run"))["state"] != "nothing_new":
            raise SystemExit(f"days were not judged by the first run: the second is {again['state']}")
        return published(environ)


def days_of(events: Path) -> Period:
    """Return the days on which the views of a file began."""
    with events.open("rb") as lines:
        days = {date.fromisoformat(json.loads(line)["timestamp"][:10]) for line in lines}
    return Period(min(days), max(days) + timedelta(days=1))


def send(bootstrap: str, events: Path) -> int:
    """Write the lines of a file to the topic; return how many there are."""
    producer = KafkaProducer(bootstrap_servers=bootstrap, linger_ms=50, batch_size=1 << 18)
    count, started = 0, time.monotonic()
    with events.open("rb") as lines:
        for line in lines:
            producer.send(TOPIC_VIDEO_VIEWS, line.rstrip(b"\n"), key=json.loads(line)["video_id"].encode())
            count += 1
    producer.flush()
    producer.close()
    print(f"sent in {time.monotonic() - started:.1f} s", flush=True)
    return count


def command(environ: Mapping[str, str], *words: str) -> dict[str, Any]:
    """Run a command to its end; return what it says, and print its steps and memory."""
    started = time.monotonic()
    child = subprocess.Popen(
        our_command(*words, "--json"), env=dict(environ), cwd=PROJECT, stdout=subprocess.PIPE, text=True
    )
    with Peaks(child.pid, []) as peaks:
        output, _ = child.communicate()
    if child.returncode:
        raise SystemExit(f"{' '.join(words)} ended with {child.returncode}")
    result: dict[str, Any] = json.loads(output)
    steps = ", ".join(f"{step} {seconds:.1f}" for step, seconds in result.get("stage_seconds", {}).items())
    memory = ", ".join(f"{name} {size / 2**20:,.0f} MiB" for name, size in sorted(peaks.most.items()))
    print(f"{' '.join(words[:2])}: {time.monotonic() - started:.1f} s ({steps}), {memory} at most; "
          f"load {os.getloadavg()[0]:.0f}", flush=True)  # fmt: skip
    return result


def published(environ: Mapping[str, str]) -> list[Judged]:
    """Return what the current version says of every message."""
    with version_session(environ) as (session, version):
        tables, place = IcebergTables(session), ["partition", "offset"]
        events = tables.at(EVENTS, version.snapshots[EVENTS])
        outcomes = tables.at(TRAFFIC_OUTCOMES, version.snapshots[TRAFFIC_OUTCOMES])
        rows = events.select(*place, "event_id", "verdict", "reasons.code", "billability", "event_day").join(
            outcomes.select(*place, "outcome", "reason", "payee_id"), place, "left"
        )
        return [joined_row(*row[2:]) for row in rows.toLocalIterator()]


def joined_row(
    event_id: str,
    verdict: str,
    codes: Sequence[str] | None,
    billability: str | None,
    day: date,
    outcome: str | None,
    reason: str | None,
    payee: str | None,
) -> Judged:
    """Return what the rows of two tables say of a message together."""
    if outcome == TrafficOutcome.REVIEW and reason is not None and verdict == Verdict.COUNTED:
        return Judged(event_id, UNDER_REVIEW, (reason,), billability, (str(day), reason, payee))
    return Judged(event_id, verdict, tuple(codes or ()), billability, None)


def print_figures(folder: Path, judged: Sequence[Judged]) -> None:
    """Print how well the verdicts fit the labels: of all rules, and of those that look at an event or a day."""
    events, labels = [], dict[str, Label]()
    for event, label, _ in read_events(folder):
        events.append(event)
        labels[event.event_id] = label
    first = [each for each in judged if each.verdict not in COPIES]
    names = {str(Verdict.INVALID_TRAFFIC): "invalid", UNDER_REVIEW: "review"}
    outcomes = {each.event_id: names[each.verdict] for each in first if each.verdict in names}
    score = Score()
    score.add(events, labels, outcomes)
    print("\n".join(score.lines()))
    weeks = [each for each in first if each.verdict in names and OF_PERIODS.intersection(each.reasons)]
    by_weeks = Counter((labels[each.event_id].family, names[each.verdict], *each.reasons) for each in weeks)
    print(f"found by the rules of a period alone: {len(weeks)} events")
    for what, number in sorted(by_weeks.items()):
        print(f"  {' '.join(what):60} {number}")
    paid = Counter(labels[each.event_id].is_attack for each in first if each.billability == Billability.BILLABLE)
    groups = {each.group: labels[each.event_id].is_attack for each in judged if each.group}
    print(f"billable in the published version: {paid[False]} events of honest people, {paid[True]} of attackers; "
          f"{len(groups)} groups under review", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
