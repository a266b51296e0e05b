"""The OpenAPI document of every route, made from the records they encode and the problems they raise. Pure."""

from collections.abc import Sequence
from typing import Any

import msgspec

from ingestion.contract.problem import PROBLEM_MEDIA_TYPE
from serving_layer import openapi_examples as examples
from serving_layer.access import Scope
from serving_layer.merge import ServedCount
from serving_layer.openapi_parts import (
    BODY_OF_LOOKUP,
    CHANNEL_VIEWS,
    HEADERS,
    LOOKUP_ANSWER,
    PARAMETERS,
    PROBLEM,
    SERIES,
    STATEMENT_LIST,
    TOP,
)
from serving_layer.problems import CODES
from serving_layer.proofs import EventPayment, PaidEvent
from serving_layer.series import SeriesRow, TopRow
from serving_layer.statements import StatementDetail, StatementSummary
from serving_layer.video_ids import LOOKUP_IDS_MAX

_ALWAYS = (
    "credentials_malformed",
    "key_unknown",
    "token_expired",
    "rate_limited",
    "internal_error",
    "access_unavailable",
)
_FIXED = ("version_invalid", "as_of_invalid", "version_not_found", "parameter_unknown", "not_acceptable")
_SERIES = (*_FIXED, "range_invalid", "range_too_large", "timezone_unknown", "cursor_invalid", "query_too_slow")
_PROOFS = ("statements_unavailable", "proofs_unavailable")
_STORE = "settled_counts_unavailable"


def documentation(*, title: str, summary: str, version: str) -> dict[str, Any]:
    """Return the OpenAPI document."""
    (_, records) = msgspec.json.schema_components(
        [ServedCount, SeriesRow, TopRow, StatementSummary, StatementDetail, PaidEvent, EventPayment],
        ref_template="#/components/schemas/{name}",
    )
    schemas = {
        **records,
        "Problem": PROBLEM,
        "LookupAnswer": LOOKUP_ANSWER,
        "Series": SERIES,
        "ChannelViews": CHANNEL_VIEWS,
        "Top": TOP,
        "StatementList": STATEMENT_LIST,
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "summary": summary, "version": version},
        "paths": _paths(),
        "components": {
            "schemas": schemas,
            "parameters": PARAMETERS,
            "headers": HEADERS,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "An API key (`vlk_…`) or a JWT"}
            },
        },
    }


def _paths() -> dict[str, Any]:
    one = _get(
        "The views of a video: settled and provisional",
        ["video_id", "version", "as_of", "format", "if_none_match"],
        ("ServedCount", examples.COUNT),
        (*_FIXED, "video_id_malformed", _STORE),
        scope=Scope.COUNTS,
        text="An unknown video has zero views and `known: false`. `billable_views` is null for who may not see it.",
    )
    series = ["version", "as_of", "from", "to", "window", "timezone", "group_by", "limit", "cursor", "format"]
    return {
        "/v1/videos/{video_id}/views": {"get": one},
        "/videos/{video_id}/views": {"get": {**one, "summary": "The same, under a plain path"}},
        "/v1/views:lookup": {"post": _lookup()},
        "/v1/videos/{video_id}/views/series": {
            "get": _get(
                "Settled views of a video over time",
                ["video_id", *series],
                ("Series", {"video_id": "-JinobXWPk", **examples.SERIES}),
                (*_SERIES, "video_id_malformed", _STORE),
                scope=Scope.COUNTS,
            )
        },
        "/v1/videos/{video_id}/views/live": {
            "get": _live("video", ("video_id_malformed",), examples.EVENT, scope=Scope.COUNTS)
        },
        "/v1/channels/{payee_id}/views": {
            "get": _get(
                "The views of all videos of a channel together",
                ["payee_id", "version", "as_of", "format"],
                ("ChannelViews", examples.CHANNEL),
                (*_FIXED, "not_found", "scope_missing", "channel_too_large", _STORE),
                scope=Scope.BILLABLE,
            )
        },
        "/v1/channels/{payee_id}/views/live": {
            "get": _live(
                "channel",
                ("not_found", "scope_missing", "channel_too_large", _STORE),
                examples.CHANNEL_EVENT,
                scope=Scope.BILLABLE,
            )
        },
        "/v1/channels/{payee_id}/views/series": {
            "get": _get(
                "Settled views of a channel over time",
                ["payee_id", *series],
                ("Series", {"payee_id": "anna", **examples.SERIES}),
                (*_SERIES, "not_found", "scope_missing", _STORE),
                scope=Scope.BILLABLE,
            )
        },
        "/v1/top": {
            "get": _get(
                "The most viewed videos of some days (UTC)",
                ["by", "from", "to", "version", "as_of", "limit", "cursor", "format"],
                ("Top", examples.TOP),
                (*_SERIES[:-3], "order_unknown", "cursor_invalid", "query_too_slow", _STORE),
                scope=Scope.COUNTS,
            )
        },
        "/v1/channels/{payee_id}/statements": {
            "get": _get(
                "A payee's statements, newest first",
                ["payee_id", "limit", "cursor", "format"],
                ("StatementList", examples.STATEMENTS),
                ("not_found", "scope_missing", "limit_invalid", "cursor_invalid", "statements_unavailable"),
                scope=Scope.STATEMENTS,
                text="A payee sees a statement once it is decided; amounts are integer micros.",
            )
        },
        "/v1/statements/{statement_id}": {
            "get": _get(
                "A statement with its lines; as CSV its lines only",
                ["statement_id", "format"],
                ("StatementDetail", examples.STATEMENT),
                ("not_found", "scope_missing", "parameter_unknown", "statements_unavailable"),
                scope=Scope.STATEMENTS,
            )
        },
        "/v1/statements/{statement_id}/events": {"get": _statement_events()},
        "/v1/events/{event_id}/payment": {"get": _event_payment()},
        **{path: {"get": _open(summary)} for path, summary in _PROBES.items()},
    }


_PROBES = {
    "/healthz": "Whether the process lives",
    "/readyz": "Whether a version is served, and whether the speed layer answers",
    "/metrics": "Metrics for Prometheus",
    "/openapi.json": "This document",
}


def _get(
    summary: str,
    parameters: Sequence[str],
    answer: tuple[str, Any],
    problems: Sequence[str],
    *,
    scope: Scope,
    text: str = "",
) -> dict[str, Any]:
    schema, example = answer
    json = {"schema": {"$ref": f"#/components/schemas/{schema}"}, "example": example}
    content: dict[str, Any] = {"application/json": json, "text/csv": {"schema": {"type": "string"}}}
    return {
        "summary": summary,
        **({"description": text} if text else {}),
        "parameters": [{"$ref": f"#/components/parameters/{name}"} for name in (*parameters, "request_id")],
        "security": _security(scope),
        "responses": {
            "200": {"description": summary, "headers": _headers("ETag"), "content": content},
            "304": {"description": "Unchanged since the entity tag sent"},
            **_problems((*problems, *_ALWAYS)),
        },
    }


def _lookup() -> dict[str, Any]:
    answer = {"schema": {"$ref": "#/components/schemas/LookupAnswer"}, "example": examples.LOOKUP}
    problems = ("body_malformed", "body_incomplete", "body_too_slow", "body_too_large", "lookup_invalid", "lookup_size")
    body = {"schema": BODY_OF_LOOKUP, "example": {"video_ids": ["-JinobXWPk", "never-seen"]}}
    return {
        "summary": f"The views of up to {LOOKUP_IDS_MAX} videos, all at one version",
        "security": _security(Scope.COUNTS),
        "requestBody": {"required": True, "content": {"application/json": body}},
        "responses": {
            "200": {"description": "The served counts", "headers": _headers(), "content": {"application/json": answer}},
            **_problems((*problems, "video_id_malformed", _STORE, *_ALWAYS)),
        },
    }


def _live(what: str, problems: Sequence[str], example: str, *, scope: Scope) -> dict[str, Any]:
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


def _statement_events() -> dict[str, Any]:
    rows = {"application/x-ndjson": {"schema": {"$ref": "#/components/schemas/PaidEvent"}}, "text/csv": {}}
    return {
        "summary": "Every event that a statement pays, streamed; `after` goes on where a stream ended",
        "parameters": [
            {"$ref": f"#/components/parameters/{name}"} for name in ("statement_id", "after", "events_format")
        ],
        "security": _security(Scope.EVENTS),
        "responses": {
            "200": {"description": "One event a line, numbered in an order that never changes", "content": rows},
            **_problems(
                (
                    "not_found",
                    "cursor_invalid",
                    "format_unknown",
                    "statements_unavailable",
                    "proofs_unavailable",
                    "streams_busy",
                    *_ALWAYS,
                )
            ),
        },
    }


def _event_payment() -> dict[str, Any]:
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


def _open(summary: str) -> dict[str, Any]:
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
