"""The form of answers: JSON or CSV, entity tags, how long they may be kept."""

import csv
import hashlib
import io
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from ingestion.contract.decoding import is_video_id
from ingestion.contract.unavailable import Part
from serving_layer.access.access import Caller
from serving_layer.problems.problems import refused
from serving_layer.request.accept import preferred
from serving_layer.request.parameters import Parameters

FOR_EVER = "max-age=31536000, immutable"
"""An answer from a version named by its number never changes."""
SECONDS = "max-age=5"
NOT_KEPT = "no-store"
MISSING_PART = "X-Missing-Part"
SHARED = ("version", "settled_until", "as_of", "complete")
MEDIA_TYPES = {"application/json": "json", "text/csv": "csv"}
_FORMATS = tuple(MEDIA_TYPES.values())
_encode = msgspec.json.Encoder().encode


def format_of(request: Request, parameters: Parameters) -> str:
    """Return `json` or `csv`: the parameter `format`, or else what Accept prefers; raises ProblemError."""
    if parameters.text("format"):
        return parameters.choice("format", _FORMATS, "format_unknown", "json")
    chosen = preferred(request.headers.get("accept", "*/*"), tuple(MEDIA_TYPES))
    if chosen is None:
        raise refused("not_acceptable", "this is served as application/json and as text/csv")
    return MEDIA_TYPES[chosen]


def missing(part: Part | None) -> dict[str, str]:
    """Return the header that names the part without which an answer is not complete."""
    return {} if part is None else {MISSING_PART: part}


def answer(
    request: Request,
    caller: Caller,
    body: Mapping[str, Any],
    *,
    form: str = "json",
    columns: Sequence[str] = (),
    shared: Sequence[str] = SHARED,
    kept: str = SECONDS,
    part: Part | None = None,
) -> Response:
    """Return the answer with its entity tag, or 304 where the sender has it already.

    CSV has a line for each of `body["rows"]` with these columns and, at its end, what the body says of all (`shared`).
    `part` is what it misses something for.
    """
    content = _csv(body, columns, shared) if form == "csv" else _encode(body)
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = {
        "ETag": tag,
        "Cache-Control": kept if kept == NOT_KEPT else f"{'public' if caller.is_anonymous else 'private'}, {kept}",
        "Vary": "Authorization, Accept",
        **missing(part),
    }
    if body.get("next"):
        following = {**request.query_params, "cursor": body["next"]}
        headers["Link"] = f'<{request.url.path}?{urlencode(following)}>; rel="next"'
    condition = request.headers.get("if-none-match")
    if condition is not None and matches(condition, tag):
        return Response(status_code=304, headers=headers)
    return Response(content, headers=headers, media_type="text/csv" if form == "csv" else "application/json")


def matches(condition: str, tag: str) -> bool:
    """Compare weakly, as RFC 9110 asks for If-None-Match."""
    wanted = tag.removeprefix("W/")
    return condition.strip() == "*" or any(each.strip().removeprefix("W/") == wanted for each in condition.split(","))


def _csv(body: Mapping[str, Any], columns: Sequence[str], shared: Sequence[str]) -> bytes:
    last = [_cell(value) for value in msgspec.to_builtins([body[name] for name in shared])]
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow([*columns, *shared])
    for row in body["rows"]:
        cells = msgspec.to_builtins(row)
        writer.writerow([_cell(cells.get(column)) for column in columns] + last)
    return out.getvalue().encode()


def harmless(cell: object) -> object:
    """Return a cell that no spreadsheet takes for a formula: one that begins like one is led by an apostrophe."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell


def _cell(value: object) -> object:
    if isinstance(value, bool):
        return str(value).lower()
    # An id is whole for the program that reads it, and no formula that does anything, whatever it begins with.
    return value if isinstance(value, str) and is_video_id(value) else harmless(value)
