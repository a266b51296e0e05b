"""Statements for payees and those who check them. Money is never kept by a cache."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from ingestion.contract.unavailable import UnavailableError
from serving_layer.access.access import Caller, Scope, nothing_here, require_payee
from serving_layer.access.http_access import Guard, GuardedRoute
from serving_layer.money.proofs import is_statement_id
from serving_layer.money.statements import (
    STATEMENTS_MAX,
    StatementDetail,
    StatementLine,
    Statements,
    StatementSummary,
    UnknownPayeeError,
    books_unavailable,
    is_shown,
)
from serving_layer.problems.problems import refused
from serving_layer.request.cursors import Cursors
from serving_layer.request.parameters import LIMIT_MAX, Parameters
from serving_layer.routes.http_answers import NOT_KEPT, answer, format_of

Found = TypeVar("Found")
LIMIT_DEFAULT = 100
_SECONDS_MAX = 5.0
_LIST = frozenset({"limit", "cursor", "format"})
_SUMMARY_COLUMNS = tuple(field.name for field in msgspec.structs.fields(StatementSummary) if field.name != "chain")
_LINE_COLUMNS = tuple(field.name for field in msgspec.structs.fields(StatementLine))


@dataclass(frozen=True)
class Books:
    """What the routes work with. `executor` runs the blocking port."""

    statements: Statements
    cursors: Cursors
    executor: Executor


def statement_routes(guard: Guard, books: Books) -> list[GuardedRoute]:
    """Return the routes; both need the scope for statements."""

    async def of_channel(request: Request, caller: Caller) -> Response:
        payee_id = request.path_params["payee_id"]
        require_payee(caller, payee_id)
        parameters = Parameters(request.query_params.multi_items(), _LIST)
        form, limit = format_of(request, parameters), parameters.limit(LIMIT_DEFAULT, LIMIT_MAX)
        query, offset = f"{request.url.path}?{parameters.canonical()}", 0
        if cursor := parameters.text("cursor"):
            _, offset = books.cursors.read(query, cursor)
        try:
            found = await _read(books, books.statements.of_payee, payee_id, STATEMENTS_MAX)
        except UnknownPayeeError as error:
            raise refused("not_found", str(error)) from error
        shown = [each for each in found if is_shown(each, caller)]
        end = offset + limit
        following = books.cursors.text(query, 0, end) if end < len(shown) else None
        body = {"payee_id": payee_id, "rows": shown[offset:end], "next": following}
        return _money(request, caller, body, form, _SUMMARY_COLUMNS)

    async def one(request: Request, caller: Caller) -> Response:
        statement_id = request.path_params["statement_id"]
        form = format_of(request, Parameters(request.query_params.multi_items(), {"format"}))
        found = await shown_statement(books, statement_id, caller)
        body = msgspec.structs.asdict(found)
        return _money(request, caller, body if form == "json" else {"rows": found.lines}, form, _LINE_COLUMNS)

    return [
        guard.route("/v1/channels/{payee_id}/statements", of_channel, needs=Scope.STATEMENTS, cost=5),
        guard.route("/v1/statements/{statement_id}", one, needs=Scope.STATEMENTS, cost=2),
    ]


async def shown_statement(books: Books, statement_id: str, caller: Caller) -> StatementDetail:
    """Return a statement that the caller sees.

    Raises:
        ProblemError: not_found or statements_unavailable.
    """
    found = await _read(books, books.statements.statement, statement_id) if is_statement_id(statement_id) else None
    if found is None or not is_shown(found, caller):
        raise nothing_here()
    return found


def _money(request: Request, caller: Caller, body: dict[str, Any], form: str, columns: tuple[str, ...]) -> Response:
    return answer(request, caller, body, form=form, columns=columns, shared=(), kept=NOT_KEPT)


async def _read(books: Books, call: Callable[..., Found], *arguments: object) -> Found:
    try:
        async with asyncio.timeout(_SECONDS_MAX):
            return await asyncio.get_running_loop().run_in_executor(books.executor, call, *arguments)
    except (TimeoutError, UnavailableError) as error:
        raise books_unavailable() from error
