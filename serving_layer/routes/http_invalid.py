"""Invalid traffic by class, for the payee of the videos and for those who see every payee: never for the public."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from functools import partial
from typing import Annotated, Any

from fastapi import Depends
from starlette.requests import Request
from starlette.responses import Response

from serving_layer.access.access import Caller, Scope, nothing_here
from serving_layer.access.http_access import Guard, GuardedRoute
from serving_layer.access.http_needs import OnlyKnown, OwnPayee, needing
from serving_layer.counts.merge import ServedVersion
from serving_layer.history.invalid import ChannelInvalid, VideoInvalid, class_sums, invalid_rows
from serving_layer.request.http_parameters import AsOf, FirstDay, LastDay, Version, VideoId
from serving_layer.request.parameters import AtVersion, at_version, check_days
from serving_layer.routes.http_answers import IMMUTABLE, SECONDS, Form, answer
from serving_layer.routes.http_described import FIXED, STORE, answered
from serving_layer.routes.http_history import History, whose

_PROBLEMS = (*FIXED, "not_found", "range_invalid", "range_too_large", "query_too_slow", STORE)
_COLUMNS = ("event_day", "class", "events")


def invalid_routes(guard: Guard, history: History) -> list[GuardedRoute]:
    """Return the routes."""
    return [
        guard.route(
            "/v1/videos/{video_id:path}/invalid",
            partial(video_invalid, history),
            summary="Invalid traffic of a video by class, on settled days",
            responses=answered(VideoInvalid, "The events", (*_PROBLEMS, "video_id_malformed")),
        ),
        guard.route(
            "/v1/channels/{payee_id}/invalid",
            partial(channel_invalid, history),
            summary="Invalid traffic of a channel by class, on settled days",
            responses=answered(ChannelInvalid, "The events", _PROBLEMS),
        ),
    ]


@dataclass(frozen=True)
class AskedDays:
    """The requested days (UTC) and version, and the form of the answer."""

    request: Request
    form: str
    start_on: date
    end_on: date
    at: AtVersion

    def shown(self, caller: Caller, body: VideoInvalid | ChannelInvalid) -> Response:
        """Return the answer."""
        kept = IMMUTABLE if self.at.number is not None else SECONDS
        return answer(self.request, caller, body, form=self.form, rows=body.rows, columns=_COLUMNS, kept=kept)


async def _asked_days(
    request: Request,
    form: Form,
    *,
    start_on: FirstDay,
    end_on: LastDay,
    version: Version = None,
    as_of: AsOf = None,
) -> AskedDays:
    check_days(start_on, end_on)
    at = at_version(version, as_of, sent=request.query_params.get("as_of", ""), now=datetime.now(UTC))
    return AskedDays(request, form, start_on, end_on, at)


_Asked = Annotated[AskedDays, Depends(_asked_days)]


async def video_invalid(
    history: History,
    caller: Annotated[Caller, needing(Scope.BILLABLE, cost=5)],
    *,
    video_id: VideoId,
    known: OnlyKnown,
    asked: _Asked,
) -> Response:
    """Return the events that no viewer made, by day and class, once their day is settled."""
    (is_own,) = await whose(history, caller, [video_id])
    if not is_own:
        raise nothing_here()
    fields = await _invalid(history, asked, await history.reader.version(asked.at), [video_id])
    return asked.shown(caller, VideoInvalid(video_id=video_id, **fields))


async def channel_invalid(
    history: History,
    caller: Annotated[Caller, needing(Scope.BILLABLE, cost=10)],
    *,
    payee_id: OwnPayee,
    known: OnlyKnown,
    asked: _Asked,
) -> Response:
    """Return the events of all videos of the channel that no viewer made, once their day is settled."""
    version = await history.reader.version(asked.at)
    video_ids = await history.reader.channel(payee_id, asked.at, version)
    fields = await _invalid(history, asked, version, video_ids)
    return asked.shown(caller, ChannelInvalid(payee_id=payee_id, **fields))


async def _invalid(
    history: History, asked: AskedDays, version: ServedVersion, video_ids: Sequence[str]
) -> dict[str, Any]:
    sums = await history.reader.invalid(video_ids, version, asked.start_on, asked.end_on)
    settled_until = version.settled_until
    end = datetime.combine(asked.end_on, time(), UTC)
    return {
        "version": version.version,
        "settled_until": settled_until,
        "as_of": settled_until,
        "complete": settled_until is not None and end <= settled_until,
        "start_on": asked.start_on,
        "end_on": asked.end_on,
        "classes": class_sums(sums),
        "rows": invalid_rows(sums),
    }
