"""Measure a small batch run in a cold process and in the resident driver, on one archive, step by step.

    python -m bench.bench_resident                                       a quick look
    python -m bench.bench_resident --archive 3200000 --runs 10           the real run

Targets: 2,000 new events of one day, 25 s cold and 6 s resident; the memory of Python and Java flat from run to run.
Starts servers of its own. Everything is received on the day of the measurement, so a run that compares days of receipt
compares the whole archive.
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from kafka import KafkaProducer

from ingestion.contract.topics import PARTITION_COUNT, TOPIC_VIDEO_VIEWS
from jobs.child.process import start
from jobs.local_stack.ports import free_ports
from jobs.local_stack.servers import our_command
from jobs.local_stack.stack import LocalStack, temporary_folder
from jobs.settings.declared.listening import BATCH_METRICS_PORT
from jobs.settings.state_home import PROJECT
from jobs.setup.programs import with_java_home

VIDEO_COUNT = 2_000
RUN_SECONDS_MAX = 900.0
MIDNIGHT = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def main() -> None:
    """Print one line for each way, its steps, and the memory after the first and the last resident run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--archive", type=int, default=100_000, help="events archived before")
    parser.add_argument("--days", type=int, default=32, help="event days of the archive")
    parser.add_argument(
        "--new", type=int, default=2_000, help="new events of each run, all of the newest of these days"
    )
    parser.add_argument("--runs", type=int, default=5, help="resident runs with new events")
    parser.add_argument("--cold", type=int, default=1, help="cold runs with new events")
    chosen = parser.parse_args()
    with temporary_folder() as folder, LocalStack.start(folder / "stack") as stack:
        environ = {**with_java_home(os.environ), **stack.environment, "PYTHONPATH": str(PROJECT)}
        sender = Sender(stack.environment["VIEWLEDGER_KAFKA_BOOTSTRAP"])
        sender.send(chosen.archive, days=chosen.days)
        cold_run(environ)
        cold = []
        for _ in range(chosen.cold):
            sender.send(chosen.new, days=1)
            cold.append(cold_run(environ))
        with resident_driver(environ, folder / "driver.log") as driver:
            driver.next_published()  # or nothing new: the first run of a process loads what the others find loaded
            warm, memory = [], []
            for _ in range(chosen.runs):
                sender.send(chosen.new, days=1)
                warm.append(driver.next_published())
                memory.append(driver.resident_bytes())
    print(
        f"{chosen.archive:,} events archived before, {chosen.new:,} new ones of one day, {os.getloadavg()[0]:.0f} load"
    )
    show("cold process", cold)
    show("resident driver", warm)
    for name in memory[0]:
        first, last = memory[0][name], memory[-1][name]
        print(f"memory of {name}: {first / 2**20:.0f} MiB after the first run, {last / 2**20:.0f} MiB after the last")


Seconds = Mapping[str, float]
"""Step → seconds; `whole` is all of a run, from the start of its process or its tick."""


def show(what: str, runs: Sequence[Seconds]) -> None:
    """Print the median of the whole and of every step."""
    if not runs:
        return
    medians = {step: statistics.median(run.get(step, 0.0) for run in runs) for step in runs[-1]}
    steps = ", ".join(f"{step} {seconds:.1f}" for step, seconds in medians.items() if step != "whole")
    print(f"{what}: {medians['whole']:.1f} s (median of {len(runs)}; {steps})")


class Sender:
    """Sends views whose ids are new."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self._rng = random.Random(1)

    def send(self, count: int, *, days: int) -> None:
        """Send views of the last full days, evenly."""
        producer = KafkaProducer(bootstrap_servers=self._bootstrap, linger_ms=50, batch_size=1 << 18)
        for index in range(count):
            producer.send(TOPIC_VIDEO_VIEWS, self._value(1 + index % days), partition=index % PARTITION_COUNT)
        producer.flush()
        producer.close()

    def _value(self, days_ago: int) -> bytes:
        viewer = self._rng.getrandbits(17)
        happened = MIDNIGHT - timedelta(days=days_ago) + timedelta(seconds=self._rng.randrange(86_400))
        event_id = UUID(bytes=self._rng.randbytes(16), version=4)
        return (
            f'{{"event_id":"{event_id}","video_id":"video{self._rng.randrange(VIDEO_COUNT):06d}",'
            f'"user_id":"user-{viewer:032x}","session_id":"session-{viewer}","timestamp":"{happened.isoformat()}",'
            f'"view_duration":{viewer % 600},"revenue_eligible":true,"device_type":"mobile","geo_location":"DE"}}'
        ).encode()


def cold_run(environ: Mapping[str, str]) -> Seconds:
    """Do a run in a process of its own; return its seconds."""
    started = time.perf_counter()
    done = subprocess.run(
        our_command("batch", "run", "--json"),
        env=dict(environ),
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    whole = time.perf_counter() - started
    return {**json.loads(done.stdout)["stage_seconds"], "whole": whole}


class ResidentDriver:
    """The driver's process and its log."""

    def __init__(self, child: "subprocess.Popen[bytes]", log: Path) -> None:
        self.child, self._log = child, log
        self._seen = 0

    def next_published(self) -> Seconds:
        """Wait for the next run that ends well with something new, or for the first of all; return its seconds."""
        deadline = time.monotonic() + RUN_SECONDS_MAX
        while time.monotonic() < deadline and self.child.poll() is None:
            runs = self._runs()
            for run in runs[self._seen :]:
                is_first = self._seen == 0
                self._seen += 1
                if run["outcome"] == "published" or (is_first and run["outcome"] == "nothing_new"):
                    return {**run["stage_seconds"], "whole": run["seconds"]}
            time.sleep(0.1)
        raise SystemExit(f"no run of the resident driver in {RUN_SECONDS_MAX:.0f} s:\n{self._log.read_text()[-2000:]}")

    def resident_bytes(self) -> dict[str, int]:
        """Return the resident memory of Python and of Java."""
        children = Path(f"/proc/{self.child.pid}/task/{self.child.pid}/children").read_text().split()
        return {"Python": _resident(self.child.pid), "Java": sum(_resident(int(pid)) for pid in children)}

    def _runs(self) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self._log.read_text().splitlines() if line.startswith("{")]
        return [line for line in lines if line["event"] == "batch run ended"]


def _resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def resident_driver(environ: Mapping[str, str], log: Path) -> Iterator[ResidentDriver]:
    """Run a driver until the block ends."""
    changed = {**environ, BATCH_METRICS_PORT.name: str(free_ports().batch_metrics)}
    child = start(our_command("run", "batch", "--every", "10s"), environ=changed, log=log, folder=PROJECT)
    try:
        yield ResidentDriver(child, log)
    finally:
        child.terminate()
        child.wait(60)


if __name__ == "__main__":
    main()
