"""The routes that show which events a statement pays, and the result of one event."""

import asyncio
import itertools
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Literal, TypeVar

import msgspec
from fastapi import Path, Query
from pydantic import BeforeValidator, Field
from starlette.responses import Response

from ingestion.contract.event import event_id_of
from ingestion.contract.unavailable import Part, UnavailableError
from serving_layer.access.access import Caller, Scope, nothing_here
from serving_layer.access.http_access import Guard, GuardedRoute
from serving_layer.access.http_needs import needing
from serving_layer.money.proofs import (
    AFTER_MAX,
    CSV,
    NDJSON,
    EventPayment,
    EventPayments,
    Form,
    PaidEvent,
    PaymentStatus,
    ProvenStatement,
    StatementEvents,
    is_statement_id,
    seen_by,
    written,
)
from serving_layer.money.statements import UNDECIDED, books_unavailable
from serving_layer.problems.problems import refused
from serving_layer.request.http_parameters import StatementId
from serving_layer.request.parameters import is_number
from serving_layer.routes.http_described import PROOFS, done, problems_of, record_of, schema_of
from serving_layer.routes.http_open_streams import LastingAnswer, OpenStreams, TooManyOpenError

STREAM_COST, LOOKUP_COST = 10, 3
STREAMS_MAX = 4
"""Concurrent streams; each holds a thread and a query of the batch tables."""
CALLER_STREAMS_MAX = 2
"""Concurrent streams with one credential: a slow reader keeps a stream for a long time."""

_encode = msgspec.json.Encoder().encode
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Proofs:
    """The parts of the routes."""

    statements: StatementEvents
    payments: EventPayments
    executor: Executor
    streams: OpenStreams = field(default_factory=OpenStreams)
    """Every stream is counted here, for all callers."""


def _number(text: str) -> int:
    if not is_number(text) or int(text) > AFTER_MAX:
        raise refused("cursor_invalid", "`after` is the number of the last event you have: 0 or a whole number")
    return int(text)


def _form(text: str) -> str:
    if text not in ("ndjson", "csv"):
        raise refused("format_unknown", "`format` is ndjson or csv")
    return text


def _possible(text: str) -> str:
    event_id = event_id_of(text)
    if event_id is None:
        raise refused("event_id_malformed", "an event id is a UUID, such as 8f14e45f-ceea-467f-9a3c-1b2d3e4f5a6b")
    return event_id


After = Annotated[
    int,
    Field(ge=0, le=AFTER_MAX),
    BeforeValidator(_number),
    Query(description="The number of the last event you have", examples=[0]),
]
EventsForm = Annotated[
    Literal["ndjson", "csv"],
    BeforeValidator(_form),
    Query(alias="format", description="ndjson by default", examples=["csv"]),
]
EventId = Annotated[
    str,
    BeforeValidator(_possible),
    Path(json_schema_extra={"format": "uuid"}, examples=["8f14e45f-ceea-467f-9a3c-1b2d3e4f5a6b"]),
]


def proof_routes(guard: Guard, proofs: Proofs) -> list[GuardedRoute]:
    """Return the routes; both need the scope for events, and a caller bound to a payee sees only their own."""
    rows = {"application/x-ndjson": {"schema": schema_of(PaidEvent)}, "text/csv": {"schema": {"type": "string"}}}
    return [
        guard.route(
            "/v1/statements/{statement_id}/events",
            partial(statement_events, proofs),
            summary="Every event that a statement pays, streamed; `after` goes on where a stream ended",
            responses={
                200: done("One event a line, numbered in an order that never changes", rows),
                **problems_of(("not_found", "cursor_invalid", "format_unknown", *PROOFS, "streams_busy")),
            },
        ),
        guard.route(
            "/v1/events/{event_id}/payment",
            partial(event_payment, proofs),
            summary="What became of one event: paid in which line, with its audit path, or why not",
            responses={
                200: done("The answer; a payee sees its own part", {"application/json": record_of(EventPayment)}),
                **problems_of(("not_found", "event_id_malformed", *PROOFS)),
            },
        ),
    ]


async def statement_events(
    proofs: Proofs,
    caller: Annotated[Caller, needing(Scope.EVENTS, cost=STREAM_COST)],
    *,
    statement_id: StatementId,
    after: After = 0,
    form: EventsForm = "ndjson",
) -> Response:
    """Return the events of a statement, one a line."""
    if not is_statement_id(statement_id):
        raise nothing_here()
    found = await _asked(proofs, proofs.statements.statement, statement_id)
    if found is None or not _is_shown(found, caller):
        raise nothing_here()
    written_as = CSV if form == "csv" else NDJSON
    return await streamed_events(proofs, caller, statement_id=statement_id, after=after, form=written_as)


async def streamed_events(proofs: Proofs, caller: Caller, *, statement_id: str, after: int, form: Form) -> Response:
    """Return the events of a statement from number after + 1 on, sent as they are read.

    The first part is read before the answer begins, so that an unreachable store is a problem and not a cut answer.

    Raises:
        ProblemError: streams_busy, statements_unavailable or proofs_unavailable.
    """
    try:
        ended = proofs.streams.take({"": STREAMS_MAX, caller.subject: CALLER_STREAMS_MAX})
    except TooManyOpenError as full:
        whose = " of this caller" if full.name else ""
        detail = f"{full.most} streams{whose} are running; try again when one has ended"
        raise refused("streams_busy", detail, {"Retry-After": "5"}) from full
    chunks = written(proofs.statements.events(statement_id, after), form)
    try:
        first = await _asked(proofs, next, chunks, b"")
    except BaseException:
        ended()
        raise
    parts = itertools.chain([first], chunks)
    return LastingAnswer(parts, ended, headers={"Cache-Control": "no-store"}, media_type=form.media_type)


async def payment_of(proofs: Proofs, event_id: str) -> EventPayment:
    """Return the result of an event; raise ProblemError if a part does not answer."""
    return await _asked(proofs, proofs.payments.payment, event_id)


async def _asked(proofs: Proofs, call: Callable[..., Answer], *arguments: object) -> Answer:
    try:
        return await asyncio.get_running_loop().run_in_executor(proofs.executor, call, *arguments)
    except UnavailableError as error:
        if error.part is Part.POSTGRES:
            raise books_unavailable() from error
        raise refused(
            "proofs_unavailable",
            "the batch tables do not answer, so events cannot be looked up now; try again shortly, and if that does "
            "not help, ask the operator whether the SQL server runs, which reads them",
            {"Retry-After": "5"},
        ) from error


def _is_shown(found: ProvenStatement, caller: Caller) -> bool:
    """Return whether a caller may see the statement: payees see only their own, once they are decided."""
    return caller.sees_payee(found.payee_id) and (caller.payee_id is None or found.state not in UNDECIDED)


async def event_payment(
    proofs: Proofs, caller: Annotated[Caller, needing(Scope.EVENTS, cost=LOOKUP_COST)], *, event_id: EventId
) -> Response:
    """Return the result of an event: the line that pays it, or why none does."""
    seen = seen_by_caller(await payment_of(proofs, event_id), caller)
    if seen is None or (seen.status is PaymentStatus.UNKNOWN and caller.payee_id is not None):
        raise nothing_here()
    return Response(_encode(seen), headers={"Cache-Control": "no-store"}, media_type="application/json")


def seen_by_caller(found: EventPayment, caller: Caller) -> EventPayment | None:
    """Return the part of an answer that a caller with the scope may see; None if it concerns none of its payees."""
    return seen_by(found, lambda payee_id: caller.payee_id is None if payee_id is None else caller.sees_payee(payee_id))
