"""The count of a video as an image that any page can embed.

The image is served to every origin, and kept by browsers and caches between for a minute: a page with many readers
costs one request a minute at most. It holds text and shapes alone, so a page that embeds it runs nothing of ours.
"""

import hashlib
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

from starlette.requests import Request
from starlette.responses import Response

from serving_layer.access.access import Caller, Scope
from serving_layer.access.http_access import Guard, GuardedRoute
from serving_layer.access.http_needs import OnlyKnown, needing
from serving_layer.counts.counts_reader import CountsReader
from serving_layer.counts.prometheus_api import ApiMetrics
from serving_layer.request.http_parameters import IfNoneMatch, VideoId
from serving_layer.routes.http_answers import NOT_KEPT, matches, missing
from serving_layer.routes.http_counts import served
from serving_layer.routes.http_described import PUBLIC, STORE, done, problems_of
from serving_layer.routes.http_history import History, whose

KEPT = "max-age=60, stale-while-revalidate=600"
MEDIA_TYPE = "image/svg+xml"
HEADERS = {
    "Access-Control-Allow-Origin": "*",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
    "Vary": "Authorization",
}
_WORD, _WORD_WIDTH = "views", 47
_DIGIT_WIDTH, _MARGIN = 7, 18
_IMAGE = """<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="20" role="img" aria-label="{count} {word}">\
<title>{count} {word}</title><rect width="{width}" height="20" rx="3" fill="#1f4e8c"/>\
<path d="M3 0h{word_end}v20H3a3 3 0 0 1-3-3V3a3 3 0 0 1 3-3z" fill="#3d3d3d"/>\
<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11" text-anchor="middle">\
<text x="{word_at}" y="14">{word}</text><text x="{count_at}" y="14">{count}</text></g></svg>
"""


@dataclass(frozen=True)
class Badges:
    """The parts of the route."""

    reader: CountsReader
    metrics: ApiMetrics
    history: History


def badge_routes(guard: Guard, reader: CountsReader, metrics: ApiMetrics, history: History) -> list[GuardedRoute]:
    """Return the route of the image."""
    image: dict[str, Any] = {MEDIA_TYPE: {"schema": {"type": "string"}}}
    return [
        guard.route(
            "/v1/videos/{video_id:path}/badge.svg",
            partial(badge, Badges(reader, metrics, history)),
            summary="The views of a video as an image that any page can embed",
            responses={
                200: done("The image", image, "ETag", "X-Missing-Part"),
                304: {"description": "Unchanged since the entity tag sent"},
                **problems_of(("parameter_unknown", "parameter_repeated", "video_id_malformed", "not_found", STORE)),
            },
            openapi_extra=PUBLIC,
        )
    ]


async def badge(
    badges: Badges,
    caller: Annotated[Caller, needing(Scope.COUNTS)],
    *,
    video_id: VideoId,
    known: OnlyKnown,
    request: Request,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Return the present count, settled and provisional; an unknown video has zero views.

    It may be kept for a minute, by everybody where view counts are public. A count that may be too small is not kept.
    """
    await whose(badges.history, caller, (video_id,))
    (count,) = await served(badges.reader, badges.metrics, (video_id,))
    content = drawn(count.views).encode()
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    kept = f"{'public' if caller.is_anonymous else 'private'}, {KEPT}" if count.complete else NOT_KEPT
    part = badges.reader.missing_part(complete=count.complete)
    headers = {**HEADERS, "ETag": tag, "Cache-Control": kept, **missing(part)}
    condition = request.headers.get("if-none-match")
    if condition is not None and matches(condition, tag):
        return Response(status_code=304, headers=headers)
    return Response(content, headers=headers, media_type=MEDIA_TYPE)


def drawn(views: int) -> str:
    """Return the image of a count, with the whole number as its accessible name."""
    count = f"{views:,}"
    count_width = _DIGIT_WIDTH * len(count) + _MARGIN
    return _IMAGE.format(
        count=count,
        word=_WORD,
        width=_WORD_WIDTH + count_width,
        word_end=_WORD_WIDTH - 3,
        word_at=_WORD_WIDTH / 2,
        count_at=_WORD_WIDTH + count_width / 2,
    )
