"""The OpenAPI document of every route, made from the records they encode and the problems they raise. Pure."""

from typing import Any

import msgspec

from serving_layer.access.access import Scope
from serving_layer.counts.merge import ServedCount
from serving_layer.history.series import SeriesRow, TopRow
from serving_layer.money.appeals import AppealReceipt
from serving_layer.money.catalogue_import import ImportAnswer
from serving_layer.money.proofs import EventPayment, PaidEvent
from serving_layer.money.statements import StatementDetail, StatementSummary
from serving_layer.openapi import openapi_examples as examples
from serving_layer.openapi.openapi_operations import (
    STORE,
    answered_get,
    appeal,
    catalogue_import,
    event_payment,
    live,
    lookup,
    open_to_all,
    statement_events,
)
from serving_layer.openapi.openapi_parts import (
    CHANNEL_VIEWS,
    HEADERS,
    LOOKUP_ANSWER,
    PARAMETERS,
    PROBLEM,
    SERIES,
    STATEMENT_LIST,
    TOP,
)

_FIXED = ("version_invalid", "as_of_invalid", "version_not_found", "parameter_unknown", "not_acceptable")
_SERIES = (*_FIXED, "range_invalid", "range_too_large", "timezone_unknown", "cursor_invalid", "query_too_slow")


def documentation(*, title: str, summary: str, version: str) -> dict[str, Any]:
    """Return the OpenAPI document."""
    (_, records) = msgspec.json.schema_components(
        [
            ServedCount,
            SeriesRow,
            TopRow,
            StatementSummary,
            StatementDetail,
            PaidEvent,
            EventPayment,
            AppealReceipt,
            ImportAnswer,
        ],
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
    one = answered_get(
        "The views of a video: settled and provisional",
        ["video_id", "version", "as_of", "format", "if_none_match"],
        ("ServedCount", examples.COUNT),
        (*_FIXED, "video_id_malformed", STORE),
        scope=Scope.COUNTS,
        text="An unknown video has zero views and `known: false`. `billable_views` is null for who may not see it.",
    )
    series = ["version", "as_of", "from", "to", "window", "timezone", "group_by", "limit", "cursor", "format"]
    return {
        "/v1/videos/{video_id}/views": {"get": one},
        "/videos/{video_id}/views": {"get": {**one, "summary": "The same, under a plain path"}},
        "/v1/views:lookup": {"post": lookup()},
        "/v1/videos/{video_id}/views/series": {
            "get": answered_get(
                "Settled views of a video over time",
                ["video_id", *series],
                ("Series", {"video_id": "-JinobXWPk", **examples.SERIES}),
                (*_SERIES, "video_id_malformed", STORE),
                scope=Scope.COUNTS,
            )
        },
        "/v1/videos/{video_id}/views/live": {
            "get": live("video", ("video_id_malformed",), examples.EVENT, scope=Scope.COUNTS)
        },
        "/v1/channels/{payee_id}/views": {
            "get": answered_get(
                "The views of all videos of a channel together",
                ["payee_id", "version", "as_of", "format"],
                ("ChannelViews", examples.CHANNEL),
                (*_FIXED, "not_found", "scope_missing", "channel_too_large", STORE),
                scope=Scope.BILLABLE,
            )
        },
        "/v1/channels/{payee_id}/views/live": {
            "get": live(
                "channel",
                ("not_found", "scope_missing", "channel_too_large", STORE),
                examples.CHANNEL_EVENT,
                scope=Scope.BILLABLE,
            )
        },
        "/v1/channels/{payee_id}/views/series": {
            "get": answered_get(
                "Settled views of a channel over time",
                ["payee_id", *series],
                ("Series", {"payee_id": "anna", **examples.SERIES}),
                (*_SERIES, "not_found", "scope_missing", STORE),
                scope=Scope.BILLABLE,
            )
        },
        "/v1/top": {
            "get": answered_get(
                "The most viewed videos of some days (UTC)",
                ["by", "from", "to", "version", "as_of", "limit", "cursor", "format"],
                ("Top", examples.TOP),
                (*_SERIES[:-3], "order_unknown", "cursor_invalid", "query_too_slow", STORE),
                scope=Scope.COUNTS,
            )
        },
        "/v1/channels/{payee_id}/statements": {
            "get": answered_get(
                "A payee's statements, newest first",
                ["payee_id", "limit", "cursor", "format"],
                ("StatementList", examples.STATEMENTS),
                ("not_found", "scope_missing", "limit_invalid", "cursor_invalid", "statements_unavailable"),
                scope=Scope.STATEMENTS,
                text="A payee sees a statement once it is decided; amounts are integer micros.",
            )
        },
        "/v1/statements/{statement_id}": {
            "get": answered_get(
                "A statement with its lines; as CSV its lines only",
                ["statement_id", "format"],
                ("StatementDetail", examples.STATEMENT),
                ("not_found", "scope_missing", "parameter_unknown", "statements_unavailable"),
                scope=Scope.STATEMENTS,
            )
        },
        "/v1/statements/{statement_id}/appeals": {"post": appeal()},
        "/v1/catalogue/versions": {"post": catalogue_import()},
        "/v1/statements/{statement_id}/events": {"get": statement_events()},
        "/v1/events/{event_id}/payment": {"get": event_payment()},
        **{path: {"get": open_to_all(summary)} for path, summary in _PROBES.items()},
    }


_PROBES = {
    "/healthz": "Whether the process lives",
    "/readyz": "Whether a version is served, and whether the speed layer answers",
    "/openapi.json": "This document",
}
