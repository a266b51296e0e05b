"""The route that imports a new version of the catalogue from CSV files."""

import asyncio
from collections.abc import AsyncGenerator
from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Any

import msgspec
from fastapi import Query
from pydantic import BeforeValidator, Field
from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request
from starlette.responses import Response

from ingestion.contract.printable import counted
from ingestion.contract.requests import FileRefusedError, KeyReusedError, RequestKey
from ingestion.contract.unavailable import UnavailableError
from serving_layer.access.access import Caller, Scope
from serving_layer.access.http_access import Guard, GuardedRoute
from serving_layer.access.http_needs import OnlyKnown, UnboundOnly, needing
from serving_layer.money.catalogue_import import (
    BYTES_MAX,
    FILE_NAMES,
    PROBLEMS_SHOWN,
    PROPOSED,
    CatalogueFiles,
    CatalogueImports,
    ImportAnswer,
)
from serving_layer.money.idempotency import key_reused, request_key
from serving_layer.problems.problems import ProblemError, problem, refused
from serving_layer.request.parameters import is_number
from serving_layer.routes.http_bodies import IdempotencyKey, read_body
from serving_layer.routes.http_described import JSON, body_of, changed, done, record_of

BODY_SECONDS_MAX = 60.0
_SECONDS_MAX = 120.0
_COST = 100
_ENVELOPE_BYTES_MAX = 4_096
"""Bound of the bytes that multipart/form-data adds around the files."""
_PIECE_BYTES = 128 * 1024
_FILES = {
    "payees": "CSV: payee_id,name,user_id,country; the last two may be missing",
    "videos": "CSV: video_id,payee_id,length_seconds,title; the last three may be missing",
    "owners": "CSV: video_id,payee_id,share_ppm,from_on,to_on; for videos without a payee_id",
}
_BODY: dict[str, Any] = {
    "type": "object",
    "required": ["payees", "videos"],
    "properties": {name: {"type": "string", "format": "binary", "description": text} for name, text in _FILES.items()},
    "additionalProperties": False,
}
_encode = msgspec.json.Encoder().encode


class _InMemory(MultiPartParser):
    """Keeps files in memory: they name persons, and the body is already bounded."""

    spool_max_size = BYTES_MAX + 1


def _removals(text: str) -> int:
    if not is_number(text):
        raise refused("removals_invalid", f"allow_removals is {text[:40]!r}; it must be a whole number from 0 on")
    return int(text)


Removals = Annotated[
    int,
    Field(ge=0),
    BeforeValidator(_removals),
    Query(description="Payees and videos that may be gone by it, if more than 0", examples=[2]),
]


@dataclass(frozen=True)
class Importing:
    """The parts of the route. One import runs at a time, in `executor`."""

    imports: CatalogueImports
    executor: Executor
    busy: asyncio.Lock = field(default_factory=asyncio.Lock)


def catalogue_routes(guard: Guard, imports: CatalogueImports, executor: Executor) -> list[GuardedRoute]:
    """Return the route; one import runs at a time, in `executor`."""
    problems = ("upload_malformed", "catalogue_invalid", "catalogue_unavailable", "import_busy", "removals_invalid")
    responses = changed(ImportAnswer, ("not_found", *problems, "parameter_unknown", "parameter_repeated"))
    content = {JSON: record_of(ImportAnswer)}
    responses[200] = done("What was sent is in force, or waits, already", content)
    proposed = "It could move money that is not billed: it is in force once a second person has approved it"
    responses[202] = done(proposed, content)
    return [
        guard.route(
            "/v1/catalogue/versions",
            partial(import_catalogue, Importing(imports, executor)),
            methods=["POST"],
            status_code=201,
            summary="Import a version of the catalogue from CSV files, checked as a whole",
            responses=responses,
            openapi_extra=body_of({"multipart/form-data": {"schema": _BODY}}),
        )
    ]


async def import_catalogue(
    of: Importing,
    caller: Annotated[Caller, needing(Scope.CATALOGUE, cost=_COST)],
    *,
    request: Request,
    unbound: UnboundOnly,
    known: OnlyKnown,
    key: IdempotencyKey,
    allow_removals: Removals = 0,
) -> Response:
    """Return the result of an import.

    The same request under the same `Idempotency-Key` is done once and gets the same answer again; a refused request is
    not remembered. The route exists only if the operator turned it on.
    """
    if of.busy.locked():
        raise refused("import_busy", "another import is running; try again shortly", {"Retry-After": "10"})
    async with of.busy:
        body = await read_body(request, BYTES_MAX + _ENVELOPE_BYTES_MAX, BODY_SECONDS_MAX)
        files = await _files_of(request.headers, body, allow_removals)
        asked = request_key(key, caller, path=request.url.path, body=files.digest())
        return _answered(await _imported(of.executor, of.imports, files, asked))


async def _files_of(headers: Headers, body: bytes, removals_max: int) -> CatalogueFiles:
    """Return the files of a form; raise ProblemError(upload_malformed)."""

    async def stream() -> AsyncGenerator[bytes, None]:
        for start in range(0, len(body), _PIECE_BYTES):
            yield body[start : start + _PIECE_BYTES]
            await asyncio.sleep(0)  # others are answered in between

    allowed = "send multipart/form-data with the files payees, videos and, if wanted, owners, each once"
    if not headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise refused("upload_malformed", f"the body is not multipart/form-data; {allowed}")
    try:
        form = await _InMemory(headers, stream(), max_files=len(FILE_NAMES), max_fields=0).parse()
    except (MultiPartException, KeyError, ValueError) as error:  # ValueError: of the codec that a part names
        reason = getattr(error, "message", "it names no boundary, or a codec that cannot be used").rstrip(".")
        raise refused("upload_malformed", f"the form cannot be read ({reason}); {allowed}") from None
    names = [name for name, _ in form.multi_items()]
    if len(set(names)) < len(names) or not {"payees", "videos"} <= set(names) <= set(FILE_NAMES):
        raise refused("upload_malformed", f"the form has the files {', '.join(names) or 'none'}; {allowed}")
    sent = {name: await file.read() for name, file in form.items() if isinstance(file, UploadFile)}
    return CatalogueFiles(sent["payees"], sent["videos"], sent.get("owners"), removals_max)


async def _imported(
    executor: Executor, imports: CatalogueImports, files: CatalogueFiles, asked: RequestKey
) -> ImportAnswer:
    """Import; a call that times out may still be done, and the same request then gets its answer."""
    try:
        async with asyncio.timeout(_SECONDS_MAX):
            return await asyncio.get_running_loop().run_in_executor(executor, imports.import_files, files, asked)
    except KeyReusedError as error:
        raise key_reused() from error
    except FileRefusedError as error:
        raise _refused(error.problems) from error
    except (TimeoutError, UnavailableError) as error:
        raise refused(
            "catalogue_unavailable",
            "PostgreSQL does not answer, so nothing is known to be imported; send the same again under the same key",
            {"Retry-After": "5"},
        ) from error


def _refused(problems: tuple[str, ...]) -> ProblemError:
    count, shown = len(problems), problems[:PROBLEMS_SHOWN]
    listed = "each is listed" if count == len(shown) else f"the first {len(shown)} are listed"
    found = problem("catalogue_invalid", f"nothing was imported: the files have {counted(count, 'problem')}; {listed}")
    return ProblemError(msgspec.structs.replace(found, problems=shown))


def _answered(answer: ImportAnswer) -> Response:
    status = 200 if not answer.new else 202 if answer.state == PROPOSED else 201
    return Response(_encode(answer), status, {"Cache-Control": "no-store"}, media_type="application/json")
