"""The documentation of the hot routes, made from the records that they encode. Pure."""

from typing import Any

import msgspec

from ingestion.contract.event import VIDEO_ID_LENGTH_MAX, VIDEO_ID_PATTERN
from ingestion.contract.problem import PROBLEM_MEDIA_TYPE
from serving_layer.merge import ServedCount
from serving_layer.video_ids import LOOKUP_IDS_MAX

_COUNT = {"$ref": "#/components/schemas/ServedCount"}
_VIDEO_ID = {"type": "string", "pattern": VIDEO_ID_PATTERN, "maxLength": VIDEO_ID_LENGTH_MAX}
_PROBLEM = {
    "type": "object",
    "required": ["type", "title", "status", "code", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string", "description": "Stable; for programs."},
        "detail": {"type": "string", "description": "One sentence; for people."},
    },
}


def documentation(*, title: str, summary: str, version: str) -> dict[str, Any]:
    """Return the OpenAPI document."""
    (_, components) = msgspec.json.schema_components([ServedCount], ref_template="#/components/schemas/{name}")
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "summary": summary, "version": version},
        "paths": {
            "/v1/videos/{video_id}/views": {"get": _one_video("The views of a video")},
            "/videos/{video_id}/views": {"get": _one_video("The same, under a plain path")},
            "/v1/views:lookup": {"post": _lookup()},
        },
        "components": {"schemas": {**components, "Problem": _PROBLEM}},
    }


def _one_video(summary: str) -> dict[str, Any]:
    return {
        "summary": summary,
        "description": "An unknown video has zero views and `known: false`. The entity tag is equal as long as the "
        "answer means the same; `as_of` may move on.",
        "parameters": [
            {"name": "video_id", "in": "path", "required": True, "schema": _VIDEO_ID},
            {"name": "If-None-Match", "in": "header", "required": False, "schema": {"type": "string"}},
        ],
        "responses": {
            "200": _answer("The served count", _COUNT),
            "304": {"description": "Unchanged since the entity tag sent"},
            **_problems({"422": "The id is malformed", "503": "The settled count cannot be read now"}),
        },
    }


def _lookup() -> dict[str, Any]:
    ids = {"type": "array", "items": _VIDEO_ID, "minItems": 1, "maxItems": LOOKUP_IDS_MAX}
    body = {
        "type": "object",
        "required": ["video_ids"],
        "properties": {"video_ids": ids},
        "additionalProperties": False,
    }
    answer = {
        "type": "object",
        "required": ["version", "settled_until", "as_of", "complete", "counts"],
        "properties": {
            "version": {"type": "integer"},
            "settled_until": {"type": ["string", "null"], "format": "date-time"},
            "as_of": {"type": ["string", "null"], "format": "date-time"},
            "complete": {"type": "boolean"},
            "counts": {"type": "array", "items": _COUNT, "description": "In the order of the ids sent"},
        },
    }
    problems = {
        "400": "The body is not JSON",
        "413": "The body is too large",
        "422": "An id is malformed, or there are too many",
        "503": "A settled count cannot be read now",
    }
    return {
        "summary": f"The views of up to {LOOKUP_IDS_MAX} videos, all at one version",
        "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
        "responses": {"200": _answer("The served counts", answer), **_problems(problems)},
    }


def _answer(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _problems(descriptions: dict[str, str]) -> dict[str, Any]:
    content = {PROBLEM_MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": text, "content": content} for status, text in descriptions.items()}
