"""Schemas, parameters and headers that the OpenAPI document refers to. Pure."""

from typing import Any

from ingestion.contract.event import VIDEO_ID_LENGTH_MAX, VIDEO_ID_PATTERN
from ingestion.contract.unavailable import Part
from serving_layer.money.appeals import OBJECTION_LENGTH_MAX
from serving_layer.money.catalogue_import import PROBLEMS_SHOWN
from serving_layer.money.idempotency import HEADER, KEY_PATTERN
from serving_layer.request.parameters import GROUPS, LIMIT_MAX, ORDERS
from serving_layer.request.video_ids import LOOKUP_IDS_MAX
from serving_layer.request.windows import WINDOWS_MAX, WindowKind

VIDEO_ID = {"type": "string", "pattern": VIDEO_ID_PATTERN, "maxLength": VIDEO_ID_LENGTH_MAX}
_INSTANT = {"type": "string", "format": "date-time"}
_INSTANT_OR_NULL = {"type": ["string", "null"], "format": "date-time"}
_COUNT = {"type": "integer", "minimum": 0}
_ENVELOPE: dict[str, Any] = {
    "version": {"type": "integer", "minimum": 0, "description": "The published version that the settled part is of"},
    "settled_until": {**_INSTANT_OR_NULL, "description": "Everything received before is settled"},
    "as_of": {**_INSTANT_OR_NULL, "description": "When the newest event was received that the answer takes in"},
    "complete": {"type": "boolean", "description": "False: views may be missing, never too many"},
}
_NEXT = {"type": ["string", "null"], "description": "The cursor of the next page; null on the last"}


def _record(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "required": list(properties), "properties": properties}


def _rows_of(name: str) -> dict[str, Any]:
    return {"type": "array", "items": {"$ref": f"#/components/schemas/{name}"}}


PROBLEM = _record(
    {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string", "description": "Stable; for programs."},
        "detail": {"type": "string", "description": "One sentence; for people."},
    }
)
PROBLEM["properties"]["part"] = {
    "type": "string",
    "enum": list(Part),
    "description": "With 503: what does not answer. Absent otherwise.",
}
PROBLEM["properties"]["problems"] = {
    "type": "array",
    "maxItems": PROBLEMS_SHOWN,
    "items": {"type": "string"},
    "description": "With catalogue_invalid: each thing that is wrong, with file, line and column. Absent otherwise.",
}
LOOKUP_ANSWER = _record({**_ENVELOPE, "counts": {**_rows_of("ServedCount"), "description": "In the order sent"}})
SERIES = _record(
    {
        **_ENVELOPE,
        "window": {"type": "string", "enum": list(WindowKind)},
        "timezone": {"type": "string"},
        "from": _INSTANT,
        "to": _INSTANT,
        "group_by": {"type": "array", "items": {"type": "string", "enum": list(GROUPS)}},
        "rows": _rows_of("SeriesRow"),
        "next": _NEXT,
    }
)
CHANNEL_VIEWS = _record(
    {
        "payee_id": {"type": "string"},
        "videos": _COUNT,
        "views": _COUNT,
        "settled_views": _COUNT,
        "provisional_views": _COUNT,
        "billable_views": _COUNT,
        **_ENVELOPE,
    }
)
TOP = _record(
    {
        **_ENVELOPE,
        "by": {"type": "string", "enum": list(ORDERS)},
        "from": {"type": "string", "format": "date"},
        "to": {"type": "string", "format": "date"},
        "rows": _rows_of("TopRow"),
        "next": _NEXT,
    }
)
STATEMENT_LIST = _record({"payee_id": {"type": "string"}, "rows": _rows_of("StatementSummary"), "next": _NEXT})
BODY_OF_LOOKUP = {
    **_record({"video_ids": {"type": "array", "items": VIDEO_ID, "minItems": 1, "maxItems": LOOKUP_IDS_MAX}}),
    "additionalProperties": False,
}

BODY_OF_APPEAL = {
    **_record({"objection": {"type": "string", "minLength": 1, "maxLength": OBJECTION_LENGTH_MAX}}),
    "additionalProperties": False,
}

BODY_OF_IMPORT = {
    "type": "object",
    "required": ["payees", "videos"],
    "properties": {
        name: {"type": "string", "format": "binary", "description": text}
        for name, text in {
            "payees": "CSV: payee_id,name,user_id,country; the last two may be missing",
            "videos": "CSV: video_id,payee_id,length_seconds; the last two may be missing",
            "owners": "CSV: video_id,payee_id,share_ppm,from_on,to_on; for videos without a payee_id",
        }.items()
    },
    "additionalProperties": False,
}


def _query(name: str, schema: dict[str, Any], text: str, example: object) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "schema": schema, "description": text, "example": example}


def _path(name: str, schema: dict[str, Any], example: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": schema, "example": example}


def _header(name: str, text: str) -> dict[str, Any]:
    return {"name": name, "in": "header", "required": False, "schema": {"type": "string"}, "description": text}


_TEXT = {"type": "string"}
PARAMETERS = {
    "video_id": _path("video_id", VIDEO_ID, "-JinobXWPk"),
    "payee_id": _path("payee_id", {"type": "string", "maxLength": 128}, "anna"),
    "statement_id": _path("statement_id", {"type": "string"}, "8f14e45fceea467f9a3c1b2d3e4f5a6b"),
    "event_id": _path("event_id", {"type": "string", "format": "uuid"}, "8f14e45f-ceea-467f-9a3c-1b2d3e4f5a6b"),
    "after": _query("after", {"type": "integer", "minimum": 0}, "The number of the last event you have", 0),
    "events_format": _query("format", {"type": "string", "enum": ["ndjson", "csv"]}, "ndjson by default", "csv"),
    "version": _query("version", {"type": "integer", "minimum": 1}, "The state at this version; it never changes", 7),
    "as_of": _query("as_of", _INSTANT, "As the version in force at this instant says", "2026-11-20T00:00:00Z"),
    "from": _query(
        "from", _TEXT, "A day of the time zone, or an instant on a quarter of an hour; needed", "2026-11-01"
    ),
    "to": _query("to", _TEXT, f"The end, exclusive; at most {WINDOWS_MAX} windows later; needed", "2026-11-08"),
    "window": _query("window", {"type": "string", "enum": list(WindowKind)}, "Length in local time", "day"),
    "timezone": _query("timezone", _TEXT, "IANA name; UTC by default", "Europe/Berlin"),
    "group_by": _query("group_by", _TEXT, "country, device or both, with a comma", "country,device"),
    "by": _query("by", {"type": "string", "enum": list(ORDERS)}, "What to order by", "views"),
    "limit": _query("limit", {"type": "integer", "minimum": 1, "maximum": LIMIT_MAX}, "Rows of a page", 100),
    "cursor": _query("cursor", _TEXT, "`next` of the page before, with the same other parameters", "q1w2e3"),
    "allow_removals": _query(
        "allow_removals",
        {"type": "integer", "minimum": 0},
        "Payees and videos that may be gone by it, if more than 0",
        2,
    ),
    "format": _query("format", {"type": "string", "enum": ["json", "csv"]}, "Stronger than Accept", "csv"),
    "if_none_match": _header("If-None-Match", "The entity tag of an answer that you have"),
    "idempotency_key": {
        **_header(HEADER, "Chosen by you, a new one for each new request; stored permanently"),
        "required": True,
        "schema": {"type": "string", "pattern": f"^{KEY_PATTERN}$"},
        "example": "0c5f7f6e-3b8f-4d53-9d6e-3a5c8a1f2b77",
    },
    "request_id": _header("X-Request-Id", "1 to 64 of A-Z a-z 0-9 . _ -; comes back and stands in the logs"),
    "last_event_id": _header("Last-Event-ID", "The id of the newest event that you have"),
}


def _answered(text: str, example: str) -> dict[str, Any]:
    return {"schema": {"type": "string"}, "description": text, "example": example}


HEADERS = {
    "ETag": _answered("Equal as long as the answer means the same", '"5f2b…"'),
    "X-Request-Id": _answered("Names the answer in the logs", "4bf92f3577b34da6"),
    "X-Missing-Part": _answered("Where `complete` is false: `redis` does not answer, or `speed` counts again", "redis"),
    "RateLimit": _answered("What is left: r requests within t seconds", '"anonymous";r=5999;t=60'),
    "Retry-After": _answered("Seconds until it is worth trying again", "2"),
}
