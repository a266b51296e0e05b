"""The declarations of routes besides their parameters: answers, problems, bodies; and the OpenAPI document.

Answers are msgspec records, which FastAPI does not know: a route names the record by its schema, and `document` adds
the schemas and the examples of all records to the document that FastAPI makes of the routes.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from ingestion.contract.plays import PlayRequest
from ingestion.contract.problem import PROBLEM_MEDIA_TYPE
from ingestion.contract.unavailable import Part
from serving_layer.access.http_access import GuardedRoute
from serving_layer.money.appeals import AppealBody
from serving_layer.money.catalogue_import import PROBLEMS_SHOWN
from serving_layer.money.proofs import PaidEvent
from serving_layer.problems.problems import CODES
from serving_layer.request.video_ids import Lookup
from serving_layer.routes.examples import EXAMPLES, problem_of

Responses = dict[int | str, dict[str, Any]]
JSON, CSV = "application/json", "text/csv"
STORE = "settled_counts_unavailable"
KNOWN = ("parameter_unknown", "parameter_repeated", "format_unknown", "not_acceptable")
"""Problems of every route that answers as JSON or CSV and refuses unknown parameters."""
FIXED = (*KNOWN, "version_invalid", "as_of_invalid", "version_not_found", "version_expired")
"""Problems of every route that shows a version."""
PAGED = (*FIXED, "range_invalid", "range_too_large", "limit_invalid", "cursor_invalid", "query_too_slow", STORE)
"""Problems of every route that shows a page of a range of time."""
SERIES = (*PAGED, "window_unknown", "timezone_unknown", "group_unknown", "measure_unknown", "measure_by_day")
PROOFS = ("statements_unavailable", "proofs_unavailable")
PUBLIC: dict[str, Any] = {"security": [{}]}
"""View counts need no credential if the operator makes them public."""
_ALWAYS = (
    "credentials_malformed",
    "credentials_missing",
    "key_unknown",
    "key_expired",
    "key_revoked",
    "token_invalid",
    "token_expired",
    "token_not_yet_valid",
    "token_audience",
    "scope_missing",
    "rate_limited",
    "internal_error",
    "access_unavailable",
    "identity_provider_unavailable",
)
"""Problems of every route that needs a credential."""
_KEYED = ("idempotency_key_invalid", "idempotency_key_reused", "body_incomplete", "body_too_slow", "body_too_large")
_SCHEMA = "#/components/schemas/{name}"
_PROBLEM: dict[str, Any] = {
    "type": "object",
    "required": ["type", "title", "status", "code", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string", "description": "Stable; for programs."},
        "detail": {"type": "string", "description": "One sentence; for people."},
        "part": {
            "type": "string",
            "enum": list(Part),
            "description": "With 503: what does not answer. Absent otherwise.",
        },
        "problems": {
            "type": "array",
            "maxItems": PROBLEMS_SHOWN,
            "items": {"type": "string"},
            "description": "With catalogue_invalid: each thing that is wrong, with file, line and column. "
            "Absent otherwise.",
        },
    },
}


def _header(text: str, example: str) -> dict[str, Any]:
    return {"schema": {"type": "string"}, "description": text, "example": example}


_HEADERS = {
    "ETag": _header("Equal as long as the answer means the same", '"5f2b…"'),
    "X-Request-Id": _header("Names the answer in the logs", "4bf92f3577b34da6"),
    "X-Missing-Part": _header("Where `complete` is false: `redis` does not answer, or `speed` counts again", "redis"),
    "RateLimit": _header("What is left: r requests within t seconds", '"anonymous";r=5999;t=60'),
    "Retry-After": _header("Seconds until it is worth trying again", "2"),
}


def schema_of(record: type[msgspec.Struct]) -> dict[str, str]:
    """Return the reference to a record's schema."""
    return {"$ref": _SCHEMA.format(name=record.__name__)}


def record_of(record: type[msgspec.Struct]) -> dict[str, Any]:
    """Return the declaration of a record as a body, with its example."""
    examples = {"answer": {"$ref": f"#/components/examples/{record.__name__}"}}
    return {"schema": schema_of(record), **({"examples": examples} if record in EXAMPLES else {})}


def body_of(content: dict[str, Any]) -> dict[str, Any]:
    """Return the declaration of a body that the endpoint reads itself, within bounds of size and time."""
    return {"requestBody": {"required": True, "content": content}}


def done(text: str, content: Mapping[str, Any], *headers: str) -> dict[str, Any]:
    """Return the declaration of an answer."""
    return {"description": text, "headers": _headers(*headers), "content": dict(content)}


def answered(record: type[msgspec.Struct], text: str, problems: Sequence[str]) -> Responses:
    """Return the answers of a GET that returns a record as JSON, or its rows as CSV."""
    content = {JSON: record_of(record), CSV: {"schema": {"type": "string"}}}
    return {
        200: done(text, content, "ETag", "X-Missing-Part"),
        304: {"description": "Unchanged since the entity tag sent"},
        **problems_of(problems),
    }


def changed(record: type[msgspec.Struct], problems: Sequence[str]) -> Responses:
    """Return the answers of a POST that changes something, once for an Idempotency-Key."""
    return {201: done("Done", {JSON: record_of(record)}), **problems_of((*problems, *_KEYED))}


def problems_of(codes: Sequence[str]) -> Responses:
    """Return the answers for these problems and for those of every route with a credential."""
    return only_problems_of({*codes, *_ALWAYS})


def only_problems_of(every: Collection[str]) -> Responses:
    """Return an answer for each status of these codes, with the first as an example."""
    found: Responses = {}
    for status in sorted({CODES[code][0] for code in every}):
        here = sorted(code for code in every if CODES[code][0] == status)
        retry = ("Retry-After",) if status in (429, 503) else ()
        content = {PROBLEM_MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
        content[PROBLEM_MEDIA_TYPE]["example"] = problem_of(here[0])
        found[status] = done("; ".join(f"`{code}`: {CODES[code][1]}" for code in here), content, *retry)
    return found


def _headers(*more: str) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in (*more, "X-Request-Id", "RateLimit")}


def document(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document of the application's routes; built on the first request for it."""
    if app.openapi_schema is None:
        routes = [each.described() for each in app.router.routes if isinstance(each, GuardedRoute)]
        made = get_openapi(title=app.title, summary=app.summary, version=app.version, routes=routes)
        _, records = msgspec.json.schema_components(
            [*EXAMPLES, PaidEvent, Lookup, AppealBody, PlayRequest], ref_template=_SCHEMA
        )
        components = made.setdefault("components", {})
        components["schemas"] = {**components.get("schemas", {}), **records, "Problem": _PROBLEM}
        components["headers"] = _HEADERS
        # Added here, since FastAPI leaves nulls out of the examples that it is given.
        components["examples"] = {each.__name__: {"value": example} for each, example in EXAMPLES.items()}
        app.openapi_schema = made
    return app.openapi_schema
