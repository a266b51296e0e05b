"""Statements for payees and auditors. Caches never store money."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from typing import Annotated, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from ingestion.contract.unavailable import UnavailableError
from serving_layer.access.access import Caller, Scope, nothing_here
from serving_layer.access.http_access import Guard, GuardedRoute
from serving_layer.access.http_needs import OnlyKnown, OwnPayee, needing
from serving_layer.money.proofs import is_statement_id
from serving_layer.money.statements import (
    STATEMENTS_MAX,
    StatementDetail,
    StatementLine,
    StatementList,
    Statements,
    StatementSummary,
    UnknownPayeeError,
    books_unavailable,
    is_shown,
)
from serving_layer.problems.problems import refused
from serving_layer.request.cursors import Cursors
from serving_layer.request.http_parameters import Cursor, Limit, StatementId
from serving_layer.request.parameters import canonical
from serving_layer.routes.http_answers import NOT_KEPT, Form, answer
from serving_layer.routes.http_described import KNOWN, answered, done, problems_of

Found = TypeVar("Found")
LIMIT_DEFAULT = 100
BUNDLE_COST = 5
_SECONDS_MAX = 5.0
_SUMMARY_COLUMNS = tuple(field.name for field in msgspec.structs.fields(StatementSummary) if field.name != "chain")
_LINE_COLUMNS = tuple(field.name for field in msgspec.structs.fields(StatementLine))


@dataclass(frozen=True)
class ServedStatements:
    """The parts of the routes. `executor` runs the blocking port."""

    statements: Statements
    cursors: Cursors
    executor: Executor


def statement_routes(guard: Guard, books: ServedStatements) -> list[GuardedRoute]:
    """Return the routes; both need the scope for statements."""
    problems = (*KNOWN, "not_found", "statements_unavailable")
    return [
        guard.route(
            "/v1/channels/{payee_id}/statements",
            partial(payee_statements, books),
            summary="A payee's statements, newest first",
            responses=answered(StatementList, "The statements", (*problems, "limit_invalid", "cursor_invalid")),
        ),
        guard.route(
            "/v1/statements/{statement_id}",
            partial(one_statement, books),
            summary="A statement with its lines; as CSV its lines only",
            responses=answered(StatementDetail, "The statement", problems),
        ),
        guard.route(
            "/v1/statements/{statement_id}/bundle",
            partial(statement_bundle, books),
            summary="What checks a statement without trusting the server: its records with their proofs, and its terms",
            responses={
                200: done("The bundle, for `viewledger-verify`", {"application/json": {"schema": {"type": "object"}}}),
                **problems_of(problems),
            },
        ),
    ]


async def payee_statements(
    books: ServedStatements,
    caller: Annotated[Caller, needing(Scope.STATEMENTS, cost=5)],
    *,
    request: Request,
    payee_id: OwnPayee,
    known: OnlyKnown,
    form: Form,
    limit: Limit = LIMIT_DEFAULT,
    cursor: Cursor = None,
) -> Response:
    """Return a page of statements; a payee sees a statement once it is decided; amounts are integer micros."""
    query, offset = f"{request.url.path}?{canonical(request.query_params.multi_items())}", 0
    if cursor:
        _, offset = books.cursors.read(query, cursor)
    try:
        found = await _read(books, books.statements.of_payee, payee_id, STATEMENTS_MAX)
    except UnknownPayeeError as error:
        raise refused("not_found", str(error)) from error
    shown = [each for each in found if is_shown(each, caller)]
    end = offset + limit
    following = books.cursors.text(query, 0, end) if end < len(shown) else None
    body = StatementList(payee_id, shown[offset:end], following)
    return answer(request, caller, body, form=form, rows=body.rows, columns=_SUMMARY_COLUMNS, shared=(), kept=NOT_KEPT)


async def one_statement(
    books: ServedStatements,
    caller: Annotated[Caller, needing(Scope.STATEMENTS, cost=2)],
    *,
    request: Request,
    statement_id: StatementId,
    known: OnlyKnown,
    form: Form,
) -> Response:
    """Return a statement; amounts are integer micros."""
    found = await shown_statement(books, statement_id, caller)
    return answer(request, caller, found, form=form, rows=found.lines, columns=_LINE_COLUMNS, shared=(), kept=NOT_KEPT)


async def statement_bundle(
    books: ServedStatements,
    caller: Annotated[Caller, needing(Scope.STATEMENTS, cost=BUNDLE_COST)],
    *,
    statement_id: StatementId,
    known: OnlyKnown,
) -> Response:
    """Return the bundle of a statement, byte for byte as its parts were hashed and signed."""
    await shown_statement(books, statement_id, caller)
    bundle = await _read(books, books.statements.bundle, statement_id)
    if bundle is None:
        raise nothing_here()
    return Response(bundle, headers={"Cache-Control": NOT_KEPT}, media_type="application/json")


async def shown_statement(books: ServedStatements, statement_id: str, caller: Caller) -> StatementDetail:
    """Return a statement that the caller sees.

    Raises:
        ProblemError: not_found or statements_unavailable.
    """
    found = await _read(books, books.statements.statement, statement_id) if is_statement_id(statement_id) else None
    if found is None or not is_shown(found, caller):
        raise nothing_here()
    return found


async def _read(books: ServedStatements, call: Callable[..., Found], *arguments: object) -> Found:
    try:
        async with asyncio.timeout(_SECONDS_MAX):
            return await asyncio.get_running_loop().run_in_executor(books.executor, call, *arguments)
    except (TimeoutError, UnavailableError) as error:
        raise books_unavailable() from error
