"""Measure the speed of GET /v1/videos/{id}/views beside a bare Starlette route that does one Redis GET per request.

    python -m bench.bench_api [--seconds 5] [--rounds 3] [--open-loop RATE]

Both run on the same uvicorn settings, one process each, one after the other in turns, under the same load by wrk
(one thread). Needs the local stack (./viewledger up) and wrk; works in a database and a Redis namespace of its own.
"""

import argparse
import json
import os
import random
import re
import secrets
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from pathlib import Path

import psycopg2
import redis

from ingestion.kafka_producer import partition_of
from jobs.local_stack.ports import is_free
from jobs.settings import environment
from jobs.wiring.migrations import migrate
from jobs.wiring.postgres_logins import in_database

VIDEOS = 20_000
PARTITIONS = 12
OFFSET_END = 1_000
UNKNOWN_SHARE = 0.2
SEED = 20261123

WRK_RESULT = """
done = function(summary, latency)
  io.write(string.format("RESULT %d %d %d %d %d %d\\n", summary.requests, summary.duration,
    summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.timeout,
    latency:percentile(50), latency:percentile(99), latency.max))
end
"""
"""The end of a script for wrk: it prints what `load` reads."""

WRK_SCRIPT = """
local paths = {}
for line in io.lines(os.getenv("BENCH_PATHS")) do paths[#paths + 1] = line end
local next_path = 1
local think = tonumber(os.getenv("BENCH_THINK_MS"))
if think > 0 then
  function delay() return math.random(0, 2 * think) end
end
request = function()
  next_path = next_path % #paths + 1
  return wrk.format("GET", paths[next_path])
end
"""

BARE = """
import sys, redis.asyncio
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route
from jobs.http.connections import ConnectionLimits
from jobs.http.server import listening_socket, serve
pool = redis.asyncio.BlockingConnectionPool.from_url(sys.argv[1], max_connections=50, timeout=10)
client = redis.asyncio.Redis(connection_pool=pool)
async def views(request):
    video_id = request.path_params["video_id"]
    value = await client.get("bench:" + video_id)
    return JSONResponse({"video_id": video_id, "views": int(value or 0)})
app = Starlette(routes=[Route("/v1/videos/{video_id}/views", views)])
serve(
    app,
    listening_socket("127.0.0.1", int(sys.argv[2]), "port"),
    limits=ConnectionLimits(address_connections_max=5_000),
)
"""
OURS = "from jobs.processes.api import run; run()"


@dataclass(frozen=True)
class Scenario:
    """The number of connections, and the mean wait of each between an answer and its next request."""

    connections: int
    think_ms: int

    def __str__(self) -> str:
        return f"{self.connections} connections, think time {self.think_ms} ms"


SCENARIOS = (Scenario(64, 0), Scenario(1000, 0), Scenario(1000, 1000))
"""Without think time the load is as much as the server bears, so the waiting time adds nothing to the rate."""


@dataclass(frozen=True)
class Measured:
    """One run of wrk."""

    requests_per_second: float
    errors: int
    p50_ms: float
    p99_ms: float
    max_ms: float
    cpu_microseconds: float
    """The server's CPU time for each request; steadier than the rate if the machine is shared."""


def main() -> None:
    """Print every run and the ratio; exit with 1 if wrk is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--open-loop",
        type=float,
        metavar="RATE",
        help="1,000 clients with this many requests a second, and nothing else",
    )
    arguments = parser.parse_args()
    if not arguments.open_loop and shutil.which("wrk") is None:
        sys.exit("bench_api needs wrk: apt-get install wrk")
    with prepared(dict(environment())) as (environ, folder):
        (bare_port, our_port) = (
            next(port for port in range(first, first + 99) if is_free(port)) for first in (18300, 18400)
        )
        redis_url = environ["VIEWLEDGER_REDIS_URL"]
        ours_environ = {"VIEWLEDGER_API_PORT": str(our_port), "VIEWLEDGER_API_METRICS_PORT": "0"}
        ours_environ["VIEWLEDGER_HTTP_CONNECTIONS_PER_ADDRESS"] = "5000"
        bare = [sys.executable, "-c", BARE, redis_url, str(bare_port)]
        ours = [sys.executable, "-c", OURS]
        figures: dict[tuple[str, Scenario], list[Measured]] = {}
        with (
            server(bare, bare_port, environ) as bare_process,
            server(ours, our_port, environ | ours_environ) as our_process,
        ):
            served = (("bare", bare_port, bare_process.pid), ("ours", our_port, our_process.pid))
            if arguments.open_loop:
                for _ in range(arguments.rounds):
                    for name, port, _ in served:
                        percentiles = open_loop(port, arguments.open_loop, arguments.seconds, folder)
                        print(f"{name:>5}: {percentiles}", flush=True)
                return
            for scenario in SCENARIOS:
                for _ in range(arguments.rounds):
                    for name, port, pid in served:
                        found = load(port, scenario, seconds=arguments.seconds, folder=folder, pid=pid)
                        figures.setdefault((name, scenario), []).append(found)
                        print(f"{name:>5}, {scenario}: {found}", flush=True)
    for scenario in SCENARIOS:
        print(f"{scenario}: {compared(median(figures['bare', scenario]), median(figures['ours', scenario]))}")


def compared(bare: Measured, ours: Measured) -> str:
    """Return the ratios in one line."""
    ratio = ours.requests_per_second / bare.requests_per_second
    return (
        f"ours {ours.requests_per_second:,.0f}/s, bare {bare.requests_per_second:,.0f}/s, ratio {ratio:.2f} "
        f"(by CPU time {bare.cpu_microseconds / ours.cpu_microseconds:.2f}); "
        f"p99 ours {ours.p99_ms:.1f} ms, bare {bare.p99_ms:.1f} ms"
    )


def median(found: list[Measured]) -> Measured:
    """Return the median of every figure."""
    return Measured(*(statistics.median(figures) for figures in zip(*map(astuple, found), strict=True)))


@contextmanager
def prepared(environ: dict[str, str]) -> Iterator[tuple[dict[str, str], Path]]:
    """Yield a published version and open segments for VIDEOS videos, removed at the end."""
    namespace = f"bench{secrets.token_hex(4)}"
    server_url = environ["VIEWLEDGER_POSTGRES_URL"]
    client = redis.Redis.from_url(environ["VIEWLEDGER_REDIS_URL"])
    outside(server_url, f"CREATE DATABASE {namespace}")
    try:
        environ |= in_database(environ, server_url.rpartition("/")[0] + "/" + namespace)
        environ["VIEWLEDGER_SPEED_NAMESPACE"] = namespace
        environ["VIEWLEDGER_API_RATE_ANONYMOUS"] = "1000000000/minute"  # counted as ever, never reached
        generator = random.Random(SEED)
        video_ids = ["".join(generator.choices("abcdefghijkXYZ0123_-", k=11)) for _ in range(VIDEOS)]
        publish(environ["VIEWLEDGER_POSTGRES_URL"], video_ids)
        count_since(client, namespace, video_ids)
        with tempfile.TemporaryDirectory() as folder:
            asked = [generator.choice(video_ids) for _ in range(100_000)]
            asked = [f"unknown-{video_id}" if generator.random() < UNKNOWN_SHARE else video_id for video_id in asked]
            paths = [f"/v1/videos/{video_id}/views" for video_id in asked]
            Path(folder, "paths").write_text("\n".join(paths))
            Path(folder, "load.lua").write_text(WRK_SCRIPT + WRK_RESULT)
            yield environ, Path(folder)
    finally:
        for pattern in (f"{{{namespace}:*", "bench:*"):
            for key in client.scan_iter(pattern, count=10_000):
                client.delete(key)
        outside(server_url, f"DROP DATABASE {namespace} WITH (FORCE)")


def publish(url: str, video_ids: list[str]) -> None:
    """Return a version that settles some views of every video."""
    migrate(url)
    offsets = json.dumps({"topic": "video-views", "ends": [OFFSET_END] * PARTITIONS})
    watermarks = json.dumps(["2026-11-23T00:00:00+00:00"] * PARTITIONS)
    connection = psycopg2.connect(url)
    with connection, connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO published.versions (version, run_id, offsets, watermarks, snapshots, row_counts, "
            "content_hashes, day_rules) VALUES (1, 'bench', %s, %s, '{}', '{}', '{}', '{}')",
            (offsets, watermarks),
        )
        cursor.execute(
            "INSERT INTO published.video_counts SELECT DISTINCT unnest(%s::text[]), 1, 1000, 800", (video_ids,)
        )
        cursor.execute("INSERT INTO published.pointer (version) VALUES (1)")
    connection.close()


def count_since(client: redis.Redis, namespace: str, video_ids: list[str]) -> None:
    """Write an open segment in every partition, in the speed layer's layout, and the plain keys of the bare route."""
    now_ms = int(time.time() * 1000)
    with client.pipeline(transaction=False) as pipeline:
        for partition in range(PARTITIONS):
            prefix = f"{{{namespace}:{partition}}}"
            state = {"position": 9_000, "segment": OFFSET_END, "appended_at_ms": now_ms, "applied_at_ms": now_ms}
            pipeline.hset(f"{prefix}:state", items=[each for pair in state.items() for each in pair])
            pipeline.zadd(f"{prefix}:segments", {str(OFFSET_END): OFFSET_END})
        for video_id in video_ids:
            partition = partition_of(video_id.encode(), PARTITIONS)
            pipeline.hset(f"{{{namespace}:{partition}}}:segment:{OFFSET_END}", video_id, 17)
            pipeline.set(f"bench:{video_id}", 1017)
        pipeline.execute()


@contextmanager
def server(
    command: list[str], port: int, environ: Mapping[str, str], *, probe: str = "/v1/videos/x/views"
) -> "Iterator[subprocess.Popen[bytes]]":
    """Yield a server process that answers at `probe`; end it afterwards."""
    process = subprocess.Popen(
        command, env={**os.environ, **environ}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and process.poll() is None:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}{probe}", timeout=1).close()
                break
            except OSError:
                time.sleep(0.1)
        yield process
    finally:
        process.terminate()
        process.wait(20)


def load(port: int, scenario: Scenario, *, seconds: int, folder: Path, pid: int) -> Measured:
    """Do one run of wrk with one thread against the server process `pid`."""
    cpu_before = cpu_seconds(pid)
    command = f"wrk -t1 -c{scenario.connections} -d{seconds}s --timeout 5s -s".split()
    answer = subprocess.run(
        [*command, str(folder / "load.lua"), f"http://127.0.0.1:{port}"],
        env={**os.environ, "BENCH_PATHS": str(folder / "paths"), "BENCH_THINK_MS": str(scenario.think_ms)},
        capture_output=True,
        text=True,
        check=True,
        timeout=seconds + 60,
    )
    found = re.search(r"RESULT (\d+) (\d+) (\d+) (\d+) (\d+) (\d+)", answer.stdout)
    assert found is not None, answer.stdout
    requests, microseconds, errors, p50, p99, most = map(int, found.groups())
    cpu = round((cpu_seconds(pid) - cpu_before) / requests * 1e6, 1)
    return Measured(round(requests / microseconds * 1e6), errors, p50 / 1000, p99 / 1000, most / 1000, cpu)


def cpu_seconds(pid: int) -> float:
    """Return the CPU time that a process has used."""
    after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(after_name[11]) + int(after_name[12])) / os.sysconf("SC_CLK_TCK")  # utime, stime


def open_loop(port: int, rate: float, seconds: int, folder: Path) -> str:
    """Run open_loop.py in a process of its own; return its output."""
    words = f"http://127.0.0.1:{port} --rate {rate} --seconds {seconds} --paths".split()
    command = [sys.executable, "-m", "bench.load.open_loop", *words, str(folder / "paths")]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds + 60).stdout.strip()


def outside(url: str, statement: str) -> None:
    """Execute one statement outside a transaction."""
    connection = psycopg2.connect(url)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(statement)
    connection.close()


if __name__ == "__main__":
    main()
