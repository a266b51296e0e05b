"""The operations of the OpenAPI document: each with its parameters, answers and the problems it may raise. Pure."""

from collections.abc import Sequence
from typing import Any

from ingestion.contract.problem import PROBLEM_MEDIA_TYPE
from serving_layer.access.access import Scope
from serving_layer.openapi import openapi_examples as examples
from serving_layer.openapi.openapi_parts import BODY_OF_APPEAL, BODY_OF_IMPORT, BODY_OF_LOOKUP
from serving_layer.problems.problems import CODES
from serving_layer.request.video_ids import LOOKUP_IDS_MAX

STORE = "settled_counts_unavailable"
_ALWAYS = (
    "credentials_malformed",
    "key_unknown",
    "token_expired",
    "rate_limited",
    "internal_error",
    "access_unavailable",
)
_PROOFS = ("statements_unavailable", "proofs_unavailable")


def answered_get(
    summary: str,
    parameters: Sequence[str],
    answer: tuple[str, Any],
    problems: Sequence[str],
    *,
    scope: Scope,
    text: str = "",
) -> dict[str, Any]:
    """Return the operation of a GET that answers in JSON and CSV."""
    schema, example = answer
    json = {"schema": {"$ref": f"#/components/schemas/{schema}"}, "example": example}
    content: dict[str, Any] = {"application/json": json, "text/csv": {"schema": {"type": "string"}}}
    return {
        "summary": summary,
        **({"description": text} if text else {}),
        "parameters": [{"$ref": f"#/components/parameters/{name}"} for name in (*parameters, "request_id")],
        "security": _security(scope),
        "responses": {
            "200": {"description": summary, "headers": _headers("ETag", "X-Missing-Part"), "content": content},
            "304": {"description": "Unchanged since the entity tag sent"},
            **_problems((*problems, *_ALWAYS)),
        },
    }


def lookup() -> dict[str, Any]:
    """Return the operation that looks many videos up."""
    answer = {"schema": {"$ref": "#/components/schemas/LookupAnswer"}, "example": examples.LOOKUP}
    problems = ("body_malformed", "body_incomplete", "body_too_slow", "body_too_large", "lookup_invalid", "lookup_size")
    body = {"schema": BODY_OF_LOOKUP, "example": {"video_ids": ["-JinobXWPk", "never-seen"]}}
    return {
        "summary": f"The views of up to {LOOKUP_IDS_MAX} videos, all at one version",
        "security": _security(Scope.COUNTS),
        "requestBody": {"required": True, "content": {"application/json": body}},
        "responses": {
            "200": {
                "description": "The served counts",
                "headers": _headers("X-Missing-Part"),
                "content": {"application/json": answer},
            },
            **_problems((*problems, "video_id_malformed", STORE, *_ALWAYS)),
        },
    }


def live(what: str, problems: Sequence[str], example: str, *, scope: Scope) -> dict[str, Any]:
    """Return the operation of a stream of counts."""
    events = {"schema": {"type": "string"}, "example": example}
    named = {"video": "video_id", "channel": "payee_id"}[what]
    return {
        "summary": f"The count of a {what} as server-sent events, whenever it changes",
        "description": "`Last-Event-ID` spares the count that the client has. It ends after 15 minutes; come back.",
        "parameters": [{"$ref": f"#/components/parameters/{name}"} for name in (named, "last_event_id")],
        "security": _security(scope),
        "responses": {
            "200": {"description": "A stream of `count` events", "content": {"text/event-stream": events}},
            **_problems((*problems, "live_exhausted", *_ALWAYS)),
        },
    }


def statement_events() -> dict[str, Any]:
    """Return the operation of the events behind a statement."""
    rows = {"application/x-ndjson": {"schema": {"$ref": "#/components/schemas/PaidEvent"}}, "text/csv": {}}
    return {
        "summary": "Every event that a statement pays, streamed; `after` goes on where a stream ended",
        "parameters": [
            {"$ref": f"#/components/parameters/{name}"} for name in ("statement_id", "after", "events_format")
        ],
        "security": _security(Scope.EVENTS),
        "responses": {
            "200": {"description": "One event a line, numbered in an order that never changes", "content": rows},
            **_problems(("not_found", "cursor_invalid", "format_unknown", *_PROOFS, "streams_busy", *_ALWAYS)),
        },
    }


def appeal() -> dict[str, Any]:
    """Return the operation that objects to a statement."""
    return _change(
        "Object to a statement of one's own; a person decides",
        ["statement_id"],
        {"application/json": {"schema": BODY_OF_APPEAL, "example": {"objection": "two videos are missing"}}},
        ("AppealReceipt", examples.APPEAL),
        (
            "not_found",
            "statement_not_appealable",
            "appeal_open",
            "appeal_invalid",
            "body_malformed",
            "statements_unavailable",
        ),
        scope=Scope.APPEALS,
    )


def catalogue_import() -> dict[str, Any]:
    """Return the operation that imports a catalogue."""
    operation = _change(
        "Import a version of the catalogue from CSV files, checked as a whole",
        ["allow_removals"],
        {"multipart/form-data": {"schema": BODY_OF_IMPORT}},
        ("ImportAnswer", examples.IMPORT),
        (
            "not_found",
            "upload_malformed",
            "catalogue_invalid",
            "catalogue_unavailable",
            "import_busy",
            "removals_invalid",
            "parameter_unknown",
        ),
        scope=Scope.CATALOGUE,
    )
    operation["description"] += " There only where the operator turned it on; what was refused is not remembered."
    operation["responses"]["200"] = {
        **operation["responses"]["201"],
        "description": "What was sent is in force, or waits, already",
    }
    operation["responses"]["202"] = {
        **operation["responses"]["201"],
        "description": "It could move money that is not billed: it is in force once a second person has approved it",
    }
    return operation


def _change(
    summary: str,
    parameters: Sequence[str],
    body: dict[str, Any],
    answer: tuple[str, Any],
    problems: Sequence[str],
    *,
    scope: Scope,
) -> dict[str, Any]:
    """Return the operation of a POST that changes something: once for an Idempotency-Key."""
    schema, example = answer
    json = {"schema": {"$ref": f"#/components/schemas/{schema}"}, "example": example}
    keyed = ("idempotency_key_invalid", "idempotency_key_reused", "body_incomplete", "body_too_slow", "body_too_large")
    return {
        "summary": summary,
        "description": "The same request under the same `Idempotency-Key` is done once and answered the same again.",
        "parameters": [
            {"$ref": f"#/components/parameters/{name}"} for name in (*parameters, "idempotency_key", "request_id")
        ],
        "security": _security(scope),
        "requestBody": {"required": True, "content": body},
        "responses": {
            "201": {"description": "Done", "headers": _headers(), "content": {"application/json": json}},
            **_problems((*problems, *keyed, "scope_missing", *_ALWAYS)),
        },
    }


def event_payment() -> dict[str, Any]:
    """Return the operation of what became of one event."""
    answer = {"schema": {"$ref": "#/components/schemas/EventPayment"}, "example": examples.EVENT_PAYMENT}
    return {
        "summary": "What became of one event: paid in which line, with its audit path, or why not",
        "parameters": [{"$ref": "#/components/parameters/event_id"}],
        "security": _security(Scope.EVENTS),
        "responses": {
            "200": {"description": "The answer; a payee sees its own part", "content": {"application/json": answer}},
            **_problems(("not_found", "event_id_malformed", *_PROOFS, *_ALWAYS)),
        },
    }


def open_to_all(summary: str) -> dict[str, Any]:
    """Return the operation of a route that anybody may ask."""
    return {"summary": summary, "security": [], "responses": {"200": {"description": summary}}}


def _security(scope: Scope) -> list[dict[str, list[str]]]:
    """View counts are public where the operator lets them be."""
    return [{"bearer": [scope]}, {}] if scope is Scope.COUNTS else [{"bearer": [scope]}]


def _headers(*more: str) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in (*more, "X-Request-Id", "RateLimit")}


def _problems(codes: Sequence[str]) -> dict[str, Any]:
    """Return one response for each status, which lists its codes and shows the first as an example."""
    found: dict[str, Any] = {}
    for status in sorted({CODES[code][0] for code in codes}):
        here = sorted({code for code in codes if CODES[code][0] == status})
        content = {"schema": {"$ref": "#/components/schemas/Problem"}, "example": examples.problem_of(here[0])}
        found[str(status)] = {
            "description": "; ".join(f"`{code}`: {CODES[code][1]}" for code in here),
            "headers": {
                **_headers(),
                **({"Retry-After": {"$ref": "#/components/headers/Retry-After"}} if status in (429, 503) else {}),
            },
            "content": {PROBLEM_MEDIA_TYPE: content},
        }
    return found
