"""One event a request: the collector, which checks a play and attests, beside a bare Starlette route.

    python -m bench.bench_collector [--seconds 5] [--rounds 3] [--work]

The bare route decodes nothing: it sends the body it got with acks=all, by kafka-python, and answers after the
acknowledgement. Both run on the same uvicorn settings, one process each, in turns, under the same load by wrk (one
thread, 64 connections). Starts a Kafka of its own. `--work` measures the work on an event instead, without HTTP and
without Kafka: events a second in one process, in requests of 500.
"""

import argparse
import base64
import json
import secrets
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from uuid import uuid4

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bench.bench_api import WRK_RESULT, Measured, Scenario, compared, load, median, server
from ingestion.contract.attestation import attested
from ingestion.contract.plays import AUDIENCE, Play
from ingestion.http_collector import EventResult
from ingestion.intake import AdmittedEvent, Origin, admit, arrival
from ingestion.jwt_plays import PlayKey, play_keys, play_reader, secret_key, signed_text
from ingestion.play_claims import NO_PLAYS, Plays
from ingestion.request_body import split_body
from jobs.checkup.topics import admin_client
from jobs.commands.topics import create
from jobs.local_stack.ports import free_ports
from jobs.local_stack.stack import LocalStack, temporary_folder
from jobs.settings import KafkaConnection

EVENTS = 20_000
CHUNK = 500
SIXTY_FOUR = Scenario(64, 0)
WRK_SCRIPT = """
local bodies = {}
for line in io.lines(os.getenv("BENCH_PATHS")) do bodies[#bodies + 1] = line end
local next_body = 0
request = function()
  next_body = next_body % #bodies + 1
  return wrk.format("POST", "/v1/events", {["Content-Type"] = "application/json"}, bodies[next_body])
end
"""
BARE = """
import asyncio, itertools, sys
from kafka import KafkaProducer
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route
from ingestion.contract.brokers import Brokers
from ingestion.kafka_producer import producer_settings
from jobs.http.connections import ConnectionLimits
from jobs.http.server import listening_socket, serve
producer = KafkaProducer(**producer_settings(Brokers.at(sys.argv[1]), 5000))
videos = itertools.cycle([f"video-{number}".encode() for number in range(2_000)])
async def healthz(request):
    return Response("ok")
async def events(request):
    loop, done = asyncio.get_running_loop(), asyncio.get_running_loop().create_future()
    sent = producer.send("video-views", await request.body(), next(videos))
    sent.add_callback(lambda _: loop.call_soon_threadsafe(done.set_result, None))
    sent.add_errback(lambda error: loop.call_soon_threadsafe(done.set_exception, error))
    await done
    return Response('{"accepted":1}', status_code=202, media_type="application/json")
app = Starlette(routes=[Route("/healthz", healthz), Route("/v1/events", events, methods=["POST"])])
serve(
    app,
    listening_socket("127.0.0.1", int(sys.argv[2]), "port"),
    limits=ConnectionLimits(address_connections_max=5_000),
)
"""
OURS = "from jobs.processes.collector import run; run()"


def main() -> None:
    """Print each run and the ratio, or the work on an event."""
    measured(__doc__, measure_requests, measure_work)


def measured(text: str | None, requests: Callable[[int, int], None], work: Callable[[int], None]) -> None:
    """Measure what the flags say: requests for some seconds in some rounds, or the work alone."""
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--work", action="store_true")
    arguments = parser.parse_args()
    if arguments.work:
        work(arguments.rounds)
    else:
        requests(arguments.seconds, arguments.rounds)


@contextmanager
def kafka_and_load() -> Iterator[tuple[LocalStack, Path]]:
    """Start a Kafka with the topics, and write one event a request for wrk; yield it and the folder of the load."""
    with (
        temporary_folder() as place,
        LocalStack.start(place / "stack", servers=("kafka",)) as stack,
        tempfile.TemporaryDirectory() as written,
    ):
        connection, folder = KafkaConnection.from_environ(stack.environment), Path(written)
        with admin_client(connection) as admin:
            create(admin, connection)
        key = play_keys(Path(stack.environment["VIEWLEDGER_PLAY_KEYS_FILE"]).read_bytes())[0]
        (folder / "load.lua").write_text(WRK_SCRIPT + WRK_RESULT)
        (folder / "paths").write_bytes(b"\n".join(event(number, key) for number in range(EVENTS)))
        yield stack, folder


def measure_requests(seconds: int, rounds: int) -> None:
    """Measure both routes in turns."""
    with kafka_and_load() as (stack, folder):
        ports = free_ports()
        environ = {
            **stack.environment,
            "VIEWLEDGER_COLLECTOR_PORT": str(ports.collector),
            "VIEWLEDGER_COLLECTOR_METRICS_PORT": "0",
        }
        bare = [sys.executable, "-c", BARE, environ["VIEWLEDGER_KAFKA_BOOTSTRAP"], str(ports.api)]
        ours = [sys.executable, "-c", OURS]
        with (
            server(bare, ports.api, environ, probe="/healthz") as bare_process,
            server(ours, ports.collector, environ, probe="/healthz") as our_process,
        ):
            served = (("bare", ports.api, bare_process.pid), ("ours", ports.collector, our_process.pid))
            figures: dict[str, list[Measured]] = {"bare": [], "ours": []}
            for _ in range(rounds):
                for name, port, pid in served:
                    found = load(port, SIXTY_FOUR, seconds=seconds, folder=folder, pid=pid)
                    figures[name].append(found)
                    print(f"{name:>5}: {found}", flush=True)
        print(f"{SIXTY_FOUR}: {compared(median(figures['bare']), median(figures['ours']))}")


def measure_work(rounds: int) -> None:
    """Print the events a second that one process splits, admits and answers."""
    secret, pair = secret_key("bench", secrets.token_bytes(32)), ed25519_key()
    attest = partial(attested, key_id="bench", key=secrets.token_bytes(32))
    ways: dict[str, tuple[Plays, PlayKey | None]] = {
        "no play": (NO_PLAYS, None),
        "HS256": (Plays(play_reader([secret])), secret),
        "HS256, attested": (Plays(play_reader([secret]), attest=attest), secret),
        "Ed25519, attested": (Plays(play_reader([pair]), attest=attest), pair),
    }
    for name, (plays, key) in ways.items():
        events = [event(number, key) for number in range(EVENTS)]
        bodies = [b"\n".join(events[start : start + CHUNK]) for start in range(0, EVENTS, CHUNK)]
        best = max(rate_of(bodies, plays) for _ in range(rounds))
        print(f"{name}: {best:,.0f} events/s", flush=True)


def rate_of(bodies: list[bytes], plays: Plays) -> float:
    """Return the events a second of one pass over the bodies."""
    started = time.perf_counter()
    for body in bodies:
        now = datetime.now(UTC)
        came = arrival(now, Origin("192.0.2.0/24", "Player/1.0"), broker_time=now)
        sent = split_body(body)
        assert isinstance(sent, list)
        outcomes = [admit(raw, came, b"k" * 32, plays) for raw in sent]
        assert all(isinstance(each, AdmittedEvent) for each in outcomes)
        msgspec.json.encode([EventResult(number, each.event_id, "accepted") for number, each in enumerate(outcomes)])
    return EVENTS / (time.perf_counter() - started)


def event(number: int, key: PlayKey | None) -> bytes:
    """Return an event as a player sends it: with a play of the key, or with its own words."""
    fields: dict[str, object] = {"view_duration": 45, "device_type": "mobile", "quality": "1080p"}
    fields["referrer"] = "https://example.com/watch"
    began = int(time.time()) - 60
    if key is None:
        fields |= {"event_id": str(uuid4()), "video_id": f"video-{number % 2_000}", "user_id": f"user-{number}"}
        fields |= {"session_id": f"session-{number}", "revenue_eligible": True, "geo_location": "US"}
        fields["timestamp"] = datetime.fromtimestamp(began, UTC).isoformat()
    else:
        play = Play(
            play_id=uuid4(),
            audience=AUDIENCE,
            begun_at_seconds=began,
            start_until_seconds=began + 600,
            user_id=f"viewer_{number:032x}",
            session_id=f"session_{number:032x}",
            video_id=f"video-{number % 2_000}",
            revenue_eligible=True,
            geo_location="US",
        )
        fields["play"] = signed_text(play, key)
    return json.dumps(fields, separators=(",", ":")).encode()


def ed25519_key() -> PlayKey:
    """Return a new pair of keys."""
    private = Ed25519PrivateKey.generate()
    halves = {"x": private.public_key().public_bytes_raw(), "d": private.private_bytes_raw()}
    written = {name: base64.urlsafe_b64encode(half).rstrip(b"=").decode() for name, half in halves.items()}
    jwk = {"kid": "bench", "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", **written}
    return play_keys(json.dumps({"keys": [jwk]}))[0]


if __name__ == "__main__":
    main()
