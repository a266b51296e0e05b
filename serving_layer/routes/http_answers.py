"""The form of answers: JSON or CSV, entity tags, cache times."""

import csv
import hashlib
import io
from collections.abc import Sequence
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

import msgspec
from fastapi import Depends, Query
from pydantic import BeforeValidator
from pydantic.json_schema import SkipJsonSchema
from starlette.requests import Request
from starlette.responses import Response

from ingestion.contract.decoding import is_video_id
from ingestion.contract.unavailable import Part
from serving_layer.access.access import Caller
from serving_layer.problems.problems import refused
from serving_layer.request.accept import preferred
from serving_layer.request.http_parameters import IfNoneMatch
from serving_layer.request.parameters import choice

IMMUTABLE = "max-age=31536000, immutable"
"""An answer from a version named by its number never changes."""
SECONDS = "max-age=5"
NOT_KEPT = "no-store"
MISSING_PART = "X-Missing-Part"
SHARED = ("version", "settled_until", "as_of", "complete")
MEDIA_TYPES = {"application/json": "json", "text/csv": "csv"}
_FORMATS = tuple(MEDIA_TYPES.values())
_encode = msgspec.json.Encoder().encode


def _named(text: str) -> str | None:
    """Return the form that the parameter names; None if it is empty."""
    return choice("format", _FORMATS, "format_unknown")(text) if text else None


async def _form(
    request: Request,
    *,
    form: Annotated[
        Literal["json", "csv"] | SkipJsonSchema[None],
        BeforeValidator(_named),
        Query(alias="format", description="Stronger than Accept", examples=["csv"]),
    ] = None,
    if_none_match: IfNoneMatch = None,  # `answer` reads it; here it is declared
) -> str:
    """Return `json` or `csv`: the parameter `format`, or else the preference in Accept; raise ProblemError."""
    if form is not None:
        return form
    chosen = preferred(request.headers.get("accept", "*/*"), tuple(MEDIA_TYPES))
    if chosen is None:
        raise refused("not_acceptable", "this is served as application/json and as text/csv")
    return MEDIA_TYPES[chosen]


Form = Annotated[str, Depends(_form)]
"""The form of an answer."""


def missing(part: Part | None) -> dict[str, str]:
    """Return the header that names the part without which an answer is incomplete."""
    return {} if part is None else {MISSING_PART: part}


def answer(
    request: Request,
    caller: Caller,
    body: msgspec.Struct,
    *,
    form: str = "json",
    rows: Sequence[object] = (),
    columns: Sequence[str] = (),
    shared: Sequence[str] = SHARED,
    kept: str = SECONDS,
    part: Part | None = None,
) -> Response:
    """Return the answer with its entity tag, or 304 if the sender already has it.

    CSV has a line for each of `rows` with these columns and, at its end, the body's common fields (`shared`).
    `part` is the part whose data may be missing.
    """
    content = _csv(body, rows, columns, shared=shared) if form == "csv" else _encode(body)
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = {
        "ETag": tag,
        "Cache-Control": kept if kept == NOT_KEPT else f"{'public' if caller.is_anonymous else 'private'}, {kept}",
        "Vary": "Authorization, Accept",
        **missing(part),
    }
    if cursor := getattr(body, "next", None):
        following = {**request.query_params, "cursor": cursor}
        headers["Link"] = f'<{request.url.path}?{urlencode(following)}>; rel="next"'
    condition = request.headers.get("if-none-match")
    if condition is not None and matches(condition, tag):
        return Response(status_code=304, headers=headers)
    return Response(content, headers=headers, media_type="text/csv" if form == "csv" else "application/json")


def matches(condition: str, tag: str) -> bool:
    """Compare weakly, as RFC 9110 requires for If-None-Match."""
    wanted = tag.removeprefix("W/")
    return condition.strip() == "*" or any(each.strip().removeprefix("W/") == wanted for each in condition.split(","))


def _csv(body: object, rows: Sequence[object], columns: Sequence[str], *, shared: Sequence[str]) -> bytes:
    last = [_cell(value) for value in msgspec.to_builtins([getattr(body, name) for name in shared])]
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow([*columns, *shared])
    for row in rows:
        cells: dict[str, Any] = msgspec.to_builtins(row)
        writer.writerow([_cell(cells.get(column)) for column in columns] + last)
    return out.getvalue().encode()


def harmless(cell: object) -> object:
    """Return a cell that a spreadsheet does not read as a formula: one that begins like it gets an apostrophe."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell


def _cell(value: object) -> object:
    if isinstance(value, bool):
        return str(value).lower()
    # An id is whole for the program that reads it, and no formula that does anything, whatever it begins with.
    return value if isinstance(value, str) and is_video_id(value) else harmless(value)
