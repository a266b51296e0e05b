"""The creator's pages: views, and the result of each event."""

from collections.abc import Awaitable, Sequence
from datetime import timedelta
from functools import partial
from typing import Any
from urllib.parse import urlencode

from starlette.responses import Response

from ingestion.contract.decoding import is_video_id
from ingestion.contract.event import event_id_of
from serving_layer.access.access import Scope
from serving_layer.access.http_access import GuardedRoute
from serving_layer.counts.live_counts import LiveCount, ReadLive, StreamOverError
from serving_layer.money.proofs import EventPayment, PaymentStatus
from serving_layer.money.statements import is_shown
from serving_layer.portal.event_sentences import part_sentence, sentence_of
from serving_layer.portal.http_spans import days_of, span_of, wrong_days
from serving_layer.portal.http_visit import SECURITY_HEADERS, Portal, Visit, page_route
from serving_layer.portal.records import VideoOrder, VideoPage, VideoRow, WatchTime
from serving_layer.routes.http_proofs import payment_of, seen_by_caller

VIDEOS_SHOWN = 50
SIGNED_IN_FOR = timedelta(seconds=5)
"""How long a stream continues before it checks again whether its visitor signed out."""
GROUPS_SHOWN = 8
_NOTHING = VideoPage((), None)


def creator_routes(portal: Portal) -> list[GuardedRoute]:
    """Return the routes; they do not show other payees' data."""
    own = partial(page_route, portal, needs=Scope.BILLABLE, is_own=True)
    return [
        own("/portal/dashboard", _dashboard),
        own("/portal/dashboard/live", _dashboard_live),
        own("/portal/videos", _videos),
        own("/portal/videos/{video_id:path}/live", _video_live),
        own("/portal/videos/{video_id:path}", _video),
        page_route(portal, "/portal/events", _events, needs=Scope.EVENTS),
        page_route(portal, "/portal/notices", _notices, needs=Scope.STATEMENTS, is_own=True),
    ]


async def _dashboard(visit: Visit) -> Response:
    days = days_of(visit)
    if days is None:
        return wrong_days(visit)
    payee_id, portal, version = visit.payee_id, visit.portal, visit.portal.version()
    top: Sequence[VideoRow] = ()
    if version is not None and version.version > 0:
        top = await visit.attempt((), portal.counts.top(payee_id, version, span_of(visit, days), GROUPS_SHOWN))
    served = await visit.attempt(None, portal.counts.served_channel(payee_id))
    visit.note_missing(served)
    statements = await visit.ask((), portal.money.statements, payee_id)
    notices = await visit.ask((), portal.money.notices, payee_id)
    return visit.page(
        "dashboard.html",
        top=top,
        name=await visit.attempt(None, portal.counts.name(payee_id)),
        served=served,
        days=days,
        statements=[each for each in statements if is_shown(each.summary, visit.known_caller)][:5],
        notices=notices[:3],
        **await _counts(visit, None, days),
    )


async def _dashboard_live(visit: Visit) -> Response:
    return await _live(visit, visit.portal.counts.live_channel(visit.payee_id))


async def _counts(visit: Visit, video_id: str | None, days: int) -> dict[str, Any]:
    """Return the settled counts of one video, or of all, in the last days: by day, country and device."""
    payee_id, version, counts = visit.payee_id, visit.portal.version(), visit.portal.counts
    if version is None or version.version == 0:
        nothing = dict.fromkeys(("by_day", "countries", "devices"), ())
        return {**nothing, "watch": WatchTime.of(()), "viewers": None, "completion": None}
    span = span_of(visit, days)
    by_day = await visit.attempt((), counts.days(payee_id, version, video_id, span))
    viewers = await visit.attempt(None, counts.viewers(payee_id, version, video_id, span))
    completion = await visit.attempt(None, counts.completion(payee_id, version, video_id, span))
    countries = await visit.attempt((), counts.groups(payee_id, version, video_id, span, "country"))
    devices = await visit.attempt((), counts.groups(payee_id, version, video_id, span, "device"))
    return {
        "by_day": by_day if any(day.views for day in by_day) else (),
        "watch": WatchTime.of(by_day),
        "viewers": viewers,
        "completion": completion,
        "countries": countries[:GROUPS_SHOWN],
        "devices": devices[:GROUPS_SHOWN],
    }


async def _videos(visit: Visit) -> Response:
    query = visit.request.query_params
    search, order = query.get("search", "").strip(), query.get("order", VideoOrder.VIEWS.value)
    if (refused := visit.refused_search(search)) is not None:
        return refused
    if order not in set(VideoOrder):
        return visit.problem(422, "No such order", f"The order is one of {', '.join(VideoOrder)}.")
    version, page = visit.portal.version(), _NOTHING
    if version is not None and version.version > 0:
        wanted = visit.portal.counts.videos(
            visit.payee_id,
            version,
            search=search,
            order=VideoOrder(order),
            cursor=query.get("cursor"),
            limit=VIDEOS_SHOWN,
        )
        page = await visit.attempt(_NOTHING, wanted)
    onward = {"search": search, "order": order, "cursor": page.next_cursor}
    next_page = f"/portal/videos?{urlencode(onward)}" if page.next_cursor else None
    return visit.page("videos.html", search=search, order=order, rows=page.rows, next_page=next_page)


async def _video(visit: Visit) -> Response:
    video_id, days = visit.request.path_params["video_id"], days_of(visit)
    if days is None:
        return wrong_days(visit)
    if (refusal := await _not_own(visit, video_id)) is not None:
        return refusal
    served = await visit.attempt(None, visit.portal.counts.served_video(video_id))
    visit.note_missing(served)
    live = f"/portal/videos/{video_id}/live"
    counts = await _counts(visit, video_id, days)
    title = await visit.attempt(None, visit.portal.counts.title(video_id))
    return visit.page("video.html", video_id=video_id, title=title, days=days, served=served, live=live, **counts)


async def _video_live(visit: Visit) -> Response:
    video_id = visit.request.path_params["video_id"]
    refusal = await _not_own(visit, video_id)
    return refusal or await _live(visit, visit.portal.counts.live_video(video_id))


async def _not_own(visit: Visit, video_id: str) -> Response | None:
    """Return the page for a video that is not the visitor's, or whose owner is not known now."""
    is_own = is_video_id(video_id) and await visit.attempt(False, visit.portal.counts.owns(visit.payee_id, video_id))
    if visit.affected:
        return visit.problem(503, "Not now", "The owner of this video cannot be looked up now; try again shortly.")
    return None if is_own else visit.not_found()


async def _live(visit: Visit, reading: Awaitable[ReadLive]) -> Response:
    """Return a stream of a count, for the page's script; it ends with the sign-in, like the page."""
    portal, request, caller = visit.portal, visit.request, visit.known_caller
    read, asked_at = await reading, portal.now()

    async def read_signed_in() -> LiveCount:
        nonlocal asked_at
        if portal.now() >= asked_at + SIGNED_IN_FOR:
            if await portal.sessions.caller(request) is None:
                raise StreamOverError
            asked_at = portal.now()
        return await read()

    response = portal.live.answer(request, read_signed_in, caller, portal.guard.network_of(request))
    response.headers.update(SECURITY_HEADERS)
    return response


async def _events(visit: Visit) -> Response:
    event_id = visit.request.query_params.get("event_id", "").strip()
    if not event_id:
        return visit.page("events.html", event_id="", answer=None)
    canonical = event_id_of(event_id)
    if canonical is None:
        refused = "An event id is a UUID: 32 hexadecimal digits, with or without hyphens."
        return visit.page("events.html", status=422, refused=refused, event_id=event_id[:36], answer=None)
    found = await visit.attempt(None, payment_of(visit.portal.proofs, canonical))
    shown = found and (
        seen_by_caller(found, visit.known_caller) or EventPayment(canonical, PaymentStatus.UNKNOWN, found.version)
    )
    sentences = [(part, part_sentence(part)) for part in shown.parts] if shown else []
    sentence = sentence_of(shown) if shown else ""
    title = None
    if shown and shown.video_id:
        title = await visit.attempt(None, visit.portal.counts.title(shown.video_id))
    return visit.page("events.html", event_id=canonical, answer=shown, title=title, sentence=sentence, parts=sentences)


async def _notices(visit: Visit) -> Response:
    payee_id, money = visit.payee_id, visit.portal.money
    notices = await visit.ask((), money.notices, payee_id)
    return visit.page("notices.html", notices=notices, appeals=await visit.ask((), money.appeals, payee_id))
