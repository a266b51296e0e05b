"""The parameters of the API's routes as FastAPI reads and describes them: one declaration each.

A reader before the type (`BeforeValidator`) raises ProblemError in our words, so that FastAPI's own 422 is never sent.
The type and its bounds are what the OpenAPI document says; they stand before the reader, or pydantic does not describe
them. `parameter_problem` translates what FastAPI itself notices.
"""

from collections.abc import Callable, Collection, Mapping
from datetime import date, datetime
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from fastapi import Depends, Header, Path, Query, params
from fastapi.dependencies.models import Dependant
from fastapi.dependencies.utils import get_flat_params
from fastapi.exceptions import RequestValidationError
from pydantic import BeforeValidator, Field
from pydantic.json_schema import SkipJsonSchema

from ingestion.contract.decoding import is_video_id
from ingestion.contract.event import VIDEO_ID_LENGTH_MAX, VIDEO_ID_PATTERN
from serving_layer.problems.problems import ProblemError, refused
from serving_layer.request import request_ids
from serving_layer.request.parameters import (
    FROM_EXAMPLE,
    LIMIT_MAX,
    MEASURES,
    ORDERS,
    TO_EXAMPLE,
    TOP_LIMIT_MAX,
    SeriesQuery,
    as_of_instant,
    choice,
    day,
    limit_to,
    needed,
    series_query,
    version_number,
)
from serving_layer.request.video_ids import malformed
from serving_layer.request.windows import WINDOWS_MAX, WindowKind, zone_of

_Nothing = SkipJsonSchema[None]
"""A parameter that is not sent; the document says that it is not required, so not that it may be null."""


def _possible(video_id: str) -> str:
    if not is_video_id(video_id):
        raise ProblemError(malformed(video_id))
    return video_id


async def _video_id(
    video_id: Annotated[
        str,
        Field(pattern=VIDEO_ID_PATTERN, max_length=VIDEO_ID_LENGTH_MAX),
        BeforeValidator(_possible),
        Path(examples=["-JinobXWPk"]),
    ],
) -> str:
    return video_id


VideoId = Annotated[str, Depends(_video_id)]
"""A dependency, so that the path is judged before the query is."""
StatementId = Annotated[str, Path(examples=["8f14e45fceea467f9a3c1b2d3e4f5a6b"])]

RequestId = Annotated[
    str | _Nothing,
    Header(alias=request_ids.HEADER, description="1 to 64 of A-Z a-z 0-9 . _ -; sent back, and written to the logs"),
]
IfNoneMatch = Annotated[
    str | _Nothing, Header(alias="If-None-Match", description="The entity tag of an answer that you have")
]
LastEventId = Annotated[
    str | _Nothing, Header(alias="Last-Event-ID", description="The id of the newest event that you have")
]

Version = Annotated[
    Annotated[int, Field(ge=1)] | _Nothing,
    BeforeValidator(version_number),
    Query(description="The state at this version; it never changes", examples=[7]),
]
AsOf = Annotated[
    datetime | _Nothing,
    BeforeValidator(as_of_instant),
    Query(description="As the version in force at this instant says", examples=["2026-11-20T00:00:00Z"]),
]
Cursor = Annotated[
    str | _Nothing,
    Query(description="`next` of the page before, with the same other parameters", examples=["q1w2e3"]),
]


_ROWS = Query(description="Rows of a page", examples=[100])
Limit = Annotated[int, Field(ge=1, le=LIMIT_MAX), BeforeValidator(limit_to(LIMIT_MAX)), _ROWS]
TopLimit = Annotated[int, Field(ge=1, le=TOP_LIMIT_MAX), BeforeValidator(limit_to(TOP_LIMIT_MAX)), _ROWS]
OrderBy = Annotated[
    Literal["views", "billable_views"],
    BeforeValidator(choice("by", ORDERS, "order_unknown")),
    Query(description="What to order by", examples=["views"]),
]
Measure = Annotated[
    Literal["views", "watched_seconds", "average_view_duration", "unique_viewers", "completion"],
    BeforeValidator(choice("measure", MEASURES, "measure_unknown")),
    Query(description="What each row shows besides its views", examples=["watched_seconds"]),
]
FirstDay = Annotated[
    date,
    BeforeValidator(day("from", FROM_EXAMPLE)),
    Query(alias="from", description="The first day (UTC)", examples=[FROM_EXAMPLE]),
]
LastDay = Annotated[
    date,
    BeforeValidator(day("to", TO_EXAMPLE)),
    Query(alias="to", description="The end (UTC), exclusive", examples=[TO_EXAMPLE]),
]


async def _series(
    *,
    zone: Annotated[
        ZoneInfo,
        BeforeValidator(zone_of),
        Query(alias="timezone", description="IANA name; UTC by default", examples=["Europe/Berlin"]),
    ] = ZoneInfo("UTC"),  # noqa: B008  a zone does not change
    window: Annotated[
        WindowKind,
        BeforeValidator(choice("window", tuple(WindowKind), "window_unknown")),
        Query(description="Length in local time; range: from and to as one window", examples=["day"]),
    ] = WindowKind.DAY,
    start: Annotated[
        str,
        BeforeValidator(needed("from", FROM_EXAMPLE)),
        Query(
            alias="from",
            description="A day of the time zone, or an instant on a quarter of an hour",
            examples=[FROM_EXAMPLE],
        ),
    ],
    end: Annotated[
        str,
        BeforeValidator(needed("to", TO_EXAMPLE)),
        Query(
            alias="to", description=f"The end, exclusive; at most {WINDOWS_MAX} windows later", examples=["2026-11-08"]
        ),
    ],
    group_by: Annotated[
        str, Query(description="country, device or both, with a comma", examples=["country,device"])
    ] = "",
) -> SeriesQuery:
    return series_query(start, end, window, zone=zone, group_by=group_by)


AskedSeries = Annotated[SeriesQuery, Depends(_series)]


def query_names(dependant: Dependant) -> frozenset[str]:
    """Return the names of the query parameters that a route declares."""
    return frozenset(_alias(each) for each in get_flat_params(dependant) if isinstance(each.field_info, params.Query))


def parameter_problem(dependant: Dependant, error: RequestValidationError) -> ProblemError:
    """Return what FastAPI noticed about a parameter as a problem of ours.

    A parameter that is missing is refused by its own reader, in the reader's words.
    """
    first: Mapping[str, Any] = error.errors()[0]
    name = str(first["loc"][-1])
    if first["type"] == "missing":
        for read in _readers(dependant, name):
            try:
                read(None)
            except ProblemError as refusal:
                return refusal
    return refused("http_error", f"{name[:40]} is not valid: {first['msg']}")


def _readers(dependant: Dependant, name: str) -> Collection[Callable[..., Any]]:
    return [
        each.func
        for field in get_flat_params(dependant)
        if _alias(field) == name
        for each in field.field_info.metadata
        if isinstance(each, BeforeValidator)
    ]


def _alias(field: Any) -> str:
    return str(field.field_info.alias or field.name)
