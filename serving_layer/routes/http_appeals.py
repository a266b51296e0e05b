"""The route by which a payee objects to a statement."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from typing import Annotated, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from ingestion.contract.requests import KeyReusedError, OpenAppealError
from ingestion.contract.unavailable import UnavailableError
from serving_layer.access.access import Caller, Scope
from serving_layer.access.http_access import Guard, GuardedRoute
from serving_layer.access.http_needs import needing
from serving_layer.money.appeals import APPEALABLE, BODY_BYTES_MAX, AppealBody, AppealReceipt, Appeals, objection_of
from serving_layer.money.idempotency import key_reused, request_key
from serving_layer.money.statements import books_unavailable
from serving_layer.problems.problems import refused
from serving_layer.request.http_parameters import StatementId
from serving_layer.routes.http_bodies import IdempotencyKey, read_body
from serving_layer.routes.http_described import JSON, body_of, changed, schema_of
from serving_layer.routes.http_statements import ServedStatements, shown_statement

_SECONDS_MAX = 10.0
_COST = 10
_encode = msgspec.json.Encoder().encode
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Objections:
    """The parts of the route. `executor` runs writes, so that reads never wait for them."""

    books: ServedStatements
    appeals: Appeals
    executor: Executor


def appeal_routes(guard: Guard, books: ServedStatements, appeals: Appeals, executor: Executor) -> list[GuardedRoute]:
    """Return the route. `executor` runs writes, so that reads never wait for them."""
    body = {JSON: {"schema": schema_of(AppealBody), "example": {"objection": "two videos are missing"}}}
    problems = ("statement_not_appealable", "appeal_open", "appeal_invalid", "body_malformed", "statements_unavailable")
    return [
        guard.route(
            "/v1/statements/{statement_id}/appeals",
            partial(appeal, Objections(books, appeals, executor)),
            methods=["POST"],
            status_code=201,
            summary="Object to a statement of one's own; a person decides",
            responses=changed(AppealReceipt, ("not_found", *problems)),
            openapi_extra=body_of(body),
        )
    ]


async def appeal(
    of: Objections,
    caller: Annotated[Caller, needing(Scope.APPEALS, cost=_COST)],
    *,
    request: Request,
    statement_id: StatementId,
    key: IdempotencyKey,
) -> Response:
    """Return the receipt of an appeal.

    The same request under the same `Idempotency-Key` is done once and gets the same answer again.
    """
    body = await read_body(request, BODY_BYTES_MAX)
    asked = request_key(key, caller, path=request.url.path, body=body)
    objection = objection_of(body)
    found = await shown_statement(of.books, statement_id, caller)
    receipt = await _ask(of.executor, of.appeals.answered, statement_id, asked)
    if receipt is None:
        if found.state not in APPEALABLE:
            raise refused(
                "statement_not_appealable",
                f"the statement is {found.state}; an appeal needs one of {', '.join(sorted(APPEALABLE))}",
            )
        receipt = await _ask(of.executor, of.appeals.file, statement_id, objection, asked)
    return _created(receipt)


def _created(receipt: AppealReceipt) -> Response:
    return Response(_encode(receipt), 201, {"Cache-Control": "no-store"}, media_type="application/json")


async def _ask(executor: Executor, call: Callable[..., Answer], *arguments: object) -> Answer:
    """Call the port; a call that times out may still be done, and the same request then gets its answer."""
    try:
        async with asyncio.timeout(_SECONDS_MAX):
            return await asyncio.get_running_loop().run_in_executor(executor, call, *arguments)
    except KeyReusedError as error:
        raise key_reused() from error
    except OpenAppealError as error:
        raise refused(
            "appeal_open", "an appeal to the statement is not decided yet; another can be made when it is"
        ) from error
    except (TimeoutError, UnavailableError) as error:
        raise books_unavailable() from error
