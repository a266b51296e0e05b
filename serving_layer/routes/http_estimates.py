"""The estimate of today, for the payee and for those who see every statement: never for the public."""

from functools import partial
from typing import Annotated

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from serving_layer.access.access import Caller, Scope
from serving_layer.access.http_access import Guard, GuardedRoute
from serving_layer.access.http_needs import OnlyKnown, OwnPayee, needing
from serving_layer.money.estimate_reader import EstimateReader
from serving_layer.money.todays_estimate import TodaysEstimate
from serving_layer.routes.http_answers import NOT_KEPT, SHARED, Form, answer
from serving_layer.routes.http_described import KNOWN, STORE, answered

_COLUMNS = tuple(each.name for each in msgspec.structs.fields(TodaysEstimate) if each.name not in SHARED)


def estimate_routes(guard: Guard, estimates: EstimateReader) -> list[GuardedRoute]:
    """Return the route; it needs the scope for statements, which have the same numbers once they are settled."""
    return [
        guard.route(
            "/v1/channels/{payee_id}/estimate",
            partial(todays_estimate, estimates),
            summary="An estimate of today: at least and at most how many views are billable, and what they earn",
            responses=answered(TodaysEstimate, "The estimate", (*KNOWN, "not_found", "channel_too_large", *_AWAY)),
        )
    ]


_AWAY = ("version_changing", "version_not_found", "version_expired", "query_too_slow", "statements_unavailable", STORE)


async def todays_estimate(
    estimates: EstimateReader,
    caller: Annotated[Caller, needing(Scope.STATEMENTS, cost=10)],
    *,
    request: Request,
    payee_id: OwnPayee,
    known: OnlyKnown,
    form: Form,
) -> Response:
    """Return the estimate of the current UTC day; never money, and in no statement."""
    body = await estimates.of_payee(payee_id)
    return answer(request, caller, body, form=form, rows=[body], columns=_COLUMNS, kept=NOT_KEPT)
