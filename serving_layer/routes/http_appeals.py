"""The route by which a payee objects to a statement: the API's first that changes something."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from typing import TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from ingestion.contract.requests import KeyReusedError, OpenAppealError
from ingestion.contract.unavailable import UnavailableError
from serving_layer.access.access import Caller, Scope
from serving_layer.access.http_access import Guard, GuardedRoute
from serving_layer.money.appeals import APPEALABLE, BODY_BYTES_MAX, AppealReceipt, Appeals, objection_of
from serving_layer.money.idempotency import HEADER, key_reused, request_key
from serving_layer.money.statements import books_unavailable
from serving_layer.problems.problems import refused
from serving_layer.routes.http_counts import read_body
from serving_layer.routes.http_statements import Books, shown_statement

_SECONDS_MAX = 10.0
_COST = 10
_encode = msgspec.json.Encoder().encode
Answer = TypeVar("Answer")


def appeal_routes(guard: Guard, books: Books, appeals: Appeals, executor: Executor) -> list[GuardedRoute]:
    """Return the route. `executor` runs what writes, so that reading never waits for it."""

    async def appeal(request: Request, caller: Caller) -> Response:
        statement_id = request.path_params["statement_id"]
        body = await read_body(request, BODY_BYTES_MAX)
        asked = request_key(request.headers.get(HEADER), caller, request.url.path, body)
        objection = objection_of(body)
        found = await shown_statement(books, statement_id, caller)
        receipt = await _ask(executor, appeals.answered, statement_id, asked)
        if receipt is None:
            if found.state not in APPEALABLE:
                raise refused(
                    "statement_not_appealable",
                    f"the statement is {found.state}; an appeal needs one of {', '.join(sorted(APPEALABLE))}",
                )
            receipt = await _ask(executor, appeals.file, statement_id, objection, asked)
        return _created(receipt)

    return [
        guard.route("/v1/statements/{statement_id}/appeals", appeal, needs=Scope.APPEALS, methods=["POST"], cost=_COST)
    ]


def _created(receipt: AppealReceipt) -> Response:
    return Response(_encode(receipt), 201, {"Cache-Control": "no-store"}, media_type="application/json")


async def _ask(executor: Executor, call: Callable[..., Answer], *arguments: object) -> Answer:
    """Call the port; what takes too long may still be done, and the same request then says so."""
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
