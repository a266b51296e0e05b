"""`POST /v1/events`: accept events, and answer one result for every event after the broker has acknowledged."""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import date, datetime

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ingestion.client_network import client_address
from ingestion.contract.event import Reason, RejectedEvent
from ingestion.contract.networks import network_of
from ingestion.contract.problem import PROBLEM_MEDIA_TYPE, Problem
from ingestion.contract.unavailable import UnavailableError
from ingestion.event_rates import EventRates
from ingestion.intake import USER_AGENT_LENGTH_MAX, AdmittedEvent, Origin, admit, arrival
from ingestion.network_kinds import NO_KINDS, NetworkKinds
from ingestion.play_claims import NO_PLAYS, Plays
from ingestion.ports import EventLog, RequestTrace
from ingestion.prometheus_collector import CollectorMetrics
from ingestion.receipts import HEADER, NO_RECEIPTS, Receipt, Receipts, ReceiptWanted, receipt_of, receipted
from ingestion.request_body import BODY_BYTES_MAX, check_media_type, events_of, not_json_at_all, too_large

logger = logging.getLogger(__name__)

PLAYS_LIMITED = "events with plays of one key came faster than allowed; send the same again after Retry-After seconds"
RATE_LIMITED = "this network sent more events than allowed; send the same again after Retry-After seconds"


@dataclass(frozen=True)
class Collector:
    """The parts of the collector. `clock` returns the present instant, aware."""

    event_log: EventLog
    clock: Callable[[], datetime]
    pseudonym_key: bytes
    plays: Plays = NO_PLAYS
    receipts: Receipts = NO_RECEIPTS
    trusted_proxies: frozenset[str] = frozenset()
    network_kinds: NetworkKinds = NO_KINDS
    acknowledgement_seconds_max: float = 6.0
    """A little more than the log's own bound, which is reached first when all is well."""
    body_seconds_max: float = 15.0
    retry_after_seconds: int = 2
    rates: EventRates[str | None] = field(default_factory=lambda: EventRates(0, time.monotonic))
    """What each network may send; a sender without an address shares one bucket with all such."""
    play_rates: EventRates[str] = field(default_factory=lambda: EventRates(0, time.monotonic))
    """How many events with plays of each key are taken."""
    metrics: CollectorMetrics = field(default_factory=CollectorMetrics)


class EventResult(msgspec.Struct, frozen=True):
    """The outcome of one event; `index` counts the events of the request from 0, without blank lines."""

    index: int
    event_id: str | None
    status: str
    reasons: tuple[Reason, ...] = ()


def collector_app(collector: Collector) -> Starlette:
    """Return the ASGI application: /v1/events, /v1/receipt-keys, /healthz, /readyz."""

    async def events(request: Request) -> Response:
        return await _collect(collector, request)

    async def receipt_keys(_: Request) -> Response:
        return Response(collector.receipts.key_set, media_type="application/jwk-set+json")

    async def healthz(_: Request) -> Response:
        return Response("ok\n", media_type="text/plain")

    async def readyz(_: Request) -> Response:
        if await asyncio.to_thread(collector.event_log.is_reachable):
            return Response("ready\n", media_type="text/plain")
        return _problem(Problem(503, "broker_unreachable", "the Kafka broker does not answer", "kafka"))

    app = Starlette(
        routes=[
            Route("/v1/events", events, methods=["POST"]),
            Route("/v1/receipt-keys", receipt_keys),
            Route("/healthz", healthz),
            Route("/readyz", readyz),
        ],
        exception_handlers={HTTPException: _http_error, Exception: _unexpected_error},
    )
    app.router.redirect_slashes = False  # a redirect would name the scheme and the host that this process sees
    return app


async def _collect(collector: Collector, request: Request) -> Response:
    headers = _first_of_each(request.scope["headers"])
    problem = check_media_type(headers.get("content-type"), headers.get("content-encoding"))
    if problem is not None:
        return _problem(problem)
    wanted = collector.receipts.wanted(headers.get(HEADER))
    if isinstance(wanted, Problem):
        return _problem(wanted)
    body = await _read_body(request, headers.get("content-length", ""), collector.body_seconds_max)
    events = events_of(body, headers.get) if isinstance(body, bytes) else body
    if isinstance(events, Problem):
        return _problem(events)
    now, broker_time = collector.clock(), collector.event_log.broker_time()
    origin = _origin(request, headers.get("user-agent"), collector, (broker_time or now).date())
    if wait := collector.rates.seconds_to_wait(origin.client_network, len(events)):
        return _limited(collector, len(events), RATE_LIMITED, wait)
    came = arrival(now, origin, broker_time=broker_time)
    outcomes = [
        each if isinstance(each, RejectedEvent) else admit(each, came, collector.pseudonym_key, collector.plays)
        for each in events
    ]
    admitted = [outcome for outcome in outcomes if isinstance(outcome, AdmittedEvent)]
    rejected = [outcome for outcome in outcomes if isinstance(outcome, RejectedEvent)]
    if wait := _take(collector, origin.client_network, len(events), admitted):
        return _limited(collector, len(events), PLAYS_LIMITED, wait)
    if not admitted and (problem := not_json_at_all(rejected)) is not None:
        return _problem(problem)
    if admitted and not await _acknowledged(collector, admitted, request.scope.get("trace")):
        # Rejected events are counted when the request gets its final answer; the client sends all of them again.
        collector.metrics.unacknowledged.inc(len(admitted))
        detail = "the log did not acknowledge in time: send the same events again under the same ids"
        retry_after = {"Retry-After": str(collector.retry_after_seconds)}
        return _problem(Problem(503, "log_unavailable", detail, "kafka"), retry_after)
    collector.metrics.accepted.inc(len(admitted))
    collector.metrics.acknowledged_plays([(each.play_country, each.play_player) for each in admitted])
    if rejected:
        collector.metrics.rejected.inc(len(rejected))
    return _answer(outcomes, len(admitted), _receipt(collector, admitted, wanted))


def _take(collector: Collector, network: str | None, events: int, admitted: Sequence[AdmittedEvent]) -> int:
    """Count a request at its network, which has room for it, and at the keys that signed its plays; return 0.

    If a key has no room, nothing is counted, not at the others either; return how many seconds it must wait.
    """
    by_key: Counter[str] = Counter()
    if collector.play_rates.is_on:
        by_key.update(each.play_key for each in admitted if each.play_key is not None)
    if wait := max((collector.play_rates.seconds_to_wait(key, count) for key, count in by_key.items()), default=0):
        return wait
    collector.rates.take(network, events)
    for key, count in by_key.items():
        collector.play_rates.take(key, count)
    return 0


def _limited(collector: Collector, events: int, detail: str, wait: int) -> Response:
    collector.metrics.limited.inc(events)
    return _problem(Problem(429, "rate_limited", detail), {"Retry-After": str(wait)})


def _receipt(collector: Collector, admitted: Sequence[AdmittedEvent], wanted: ReceiptWanted) -> Receipt | None:
    """Return the receipt for events that the log has just acknowledged, if one is wanted."""
    sign = collector.receipts.sign
    if not admitted or sign is None or wanted is ReceiptWanted.NO:
        return None
    collector.metrics.receipts.inc()
    now = collector.event_log.broker_time() or collector.clock()
    events = [receipted(each) for each in admitted]
    return receipt_of(events, now, sign, with_paths=wanted is ReceiptWanted.PATHS)


async def _acknowledged(collector: Collector, admitted: Sequence[AdmittedEvent], trace: RequestTrace | None) -> bool:
    metrics = collector.metrics
    started = time.perf_counter()
    metrics.in_flight.inc(len(admitted))
    try:
        await _done(collector.event_log.append(admitted, trace), collector.acknowledgement_seconds_max)
    except (UnavailableError, TimeoutError) as error:
        logger.warning("events not acknowledged", extra={"fields": {"events": len(admitted), "reason": str(error)}})
        return False
    finally:
        metrics.in_flight.dec(len(admitted))
    metrics.acknowledgement_seconds.observe(time.perf_counter() - started)
    return True


async def _done(future: "Future[None]", seconds_max: float) -> None:
    """Wait for a thread's future; raise its exception, or TimeoutError.

    It does what `asyncio.wait_for` and `asyncio.wrap_future` do together, in half of their time.
    """
    loop = asyncio.get_running_loop()
    waiter = loop.create_future()

    def end(failure: BaseException | None) -> None:
        if waiter.done():
            return
        if failure is None:
            waiter.set_result(None)
        else:
            waiter.set_exception(failure)

    def pass_on(done: "Future[None]") -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(end, done.exception())

    future.add_done_callback(pass_on)
    timer = loop.call_later(seconds_max, end, TimeoutError())
    try:
        await waiter
    finally:
        timer.cancel()


def _first_of_each(headers: Sequence[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return the headers by name, decoded once; of several with one name the first."""
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in reversed(headers)}


async def _read_body(request: Request, declared: str, seconds_max: float) -> bytes | Problem:
    if declared.isascii() and declared.isdigit() and int(declared[:18]) > BODY_BYTES_MAX:
        return too_large()
    body, is_whole = bytearray(), False
    try:
        async with asyncio.timeout(seconds_max):
            while not is_whole:
                message = await request.receive()
                if message["type"] == "http.disconnect":
                    return Problem(400, "body_incomplete", "the connection closed before the whole body arrived")
                body += message.get("body", b"")
                if len(body) > BODY_BYTES_MAX:
                    return too_large()
                is_whole = not message.get("more_body", False)
    except TimeoutError:
        return Problem(408, "body_too_slow", f"the body did not arrive within {seconds_max:g} seconds")
    return bytes(body)


def _origin(request: Request, user_agent: str | None, collector: Collector, on: date) -> Origin:
    address = request.client.host if request.client is not None else None
    if collector.trusted_proxies:
        address = client_address(address, request.headers.getlist("x-forwarded-for"), collector.trusted_proxies)
    return Origin(
        client_network=network_of(address) if address is not None else None,
        user_agent=user_agent[:USER_AGENT_LENGTH_MAX] if user_agent else None,
        network_kind=collector.network_kinds.kind_of(address, on),
    )


def _answer(outcomes: Sequence[AdmittedEvent | RejectedEvent], accepted: int, receipt: Receipt | None) -> Response:
    results = [
        EventResult(index, outcome.event_id, "accepted")
        if isinstance(outcome, AdmittedEvent)
        else EventResult(index, outcome.event_id, "rejected", outcome.reasons)
        for index, outcome in enumerate(outcomes)
    ]
    content: dict[str, object] = {"accepted": accepted, "rejected": len(outcomes) - accepted, "results": results}
    if receipt is not None:
        content["receipt"] = receipt
    return Response(msgspec.json.encode(content), status_code=202, media_type="application/json")


def _problem(problem: Problem, headers: dict[str, str] | None = None) -> Response:
    return Response(problem.to_json(), problem.status, headers, media_type=PROBLEM_MEDIA_TYPE)


async def _http_error(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
    sentences = {
        404: ("not_found", "there is nothing at this path; events go to POST /v1/events"),
        405: ("method_not_allowed", f"{request.method} is not allowed here"),
    }
    code, detail = sentences.get(status, ("http_error", "the request cannot be served"))
    return _problem(Problem(status, code, detail), headers)


async def _unexpected_error(request: Request, error: Exception) -> Response:
    return _problem(Problem(500, "internal_error", "an unexpected error; it was logged"))
