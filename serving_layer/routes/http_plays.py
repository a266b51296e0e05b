"""The route by which the platform has plays signed, just before they begin."""

import json
from dataclasses import dataclass
from functools import partial
from typing import Annotated

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from ingestion.contract.countries import country_of
from ingestion.contract.decoding import refuse_duplicate_keys
from ingestion.contract.plays import PLAYS_MAX, PlayRequest, PlaySigner, SignedPlays
from serving_layer.access.access import Caller, Scope
from serving_layer.access.http_access import Guard, GuardedRoute
from serving_layer.access.http_needs import OnlyKnown, UnboundOnly, needing
from serving_layer.counts.prometheus_api import ApiMetrics
from serving_layer.problems.problems import refused
from serving_layer.routes.http_bodies import read_body
from serving_layer.routes.http_described import JSON, body_of, done, problems_of, record_of, schema_of

BODY_BYTES_MAX = 1024 * 1024
_PROBLEMS = (
    "body_malformed", "body_incomplete", "body_too_slow", "body_too_large", "plays_invalid", "not_found",
    "parameter_unknown", "parameter_repeated",
)  # fmt: skip
_EXAMPLE = {
    "video_id": "-JinobXWPk",
    "user_id": "alice",
    "session_id": "s1",
    "revenue_eligible": True,
    "geo_location": "DE",
    "ad_views_max": 2,
    "player": "web/3.2.1",
}
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(PlayRequest | list[PlayRequest]).decode


@dataclass(frozen=True)
class Signing:
    """The parts of the route."""

    sign: PlaySigner
    metrics: ApiMetrics


def play_routes(guard: Guard, sign: PlaySigner, metrics: ApiMetrics) -> list[GuardedRoute]:
    """Return the route."""
    one = schema_of(PlayRequest)
    several = {"type": "array", "items": one, "minItems": 1, "maxItems": PLAYS_MAX}
    return [
        guard.route(
            "/v1/plays",
            partial(sign_plays, Signing(sign, metrics)),
            methods=["POST"],
            summary="Sign plays that begin now: one, or an array of them",
            responses={200: done("Signed", {JSON: record_of(SignedPlays)}), **problems_of(_PROBLEMS)},
            openapi_extra=body_of({JSON: {"schema": {"oneOf": [one, several]}, "example": _EXAMPLE}}),
        )
    ]


async def sign_plays(
    of: Signing,
    caller: Annotated[Caller, needing(Scope.PLAYS)],
    *,
    request: Request,
    unbound: UnboundOnly,
    known: OnlyKnown,
) -> Response:
    """Return a token for each view that is about to begin; all are signed, or none.

    The player sends its token in the field `play` of the view's event. Nothing is stored: a play that is not begun
    leaves no trace. The route exists only if the operator gave the API keys of plays.
    """
    asked = _asked(await read_body(request, BODY_BYTES_MAX))
    answer = SignedPlays([of.sign(each) for each in asked])
    of.metrics.signed_plays([(country_of(each.geo_location), each.player) for each in asked])
    return Response(_encode(answer), 200, {"Cache-Control": "no-store"}, media_type=JSON)


def _asked(body: bytes) -> list[PlayRequest]:
    try:
        sent = _decode(body)
    except msgspec.ValidationError as error:
        raise refused(
            "plays_invalid", f"{error}; nothing was signed; a play is like {_encode(_EXAMPLE).decode()}"
        ) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise refused("body_malformed", f"the body is not JSON ({error})") from None
    try:
        json.loads(body, object_pairs_hook=refuse_duplicate_keys)
    except ValueError as error:
        raise refused("plays_invalid", f"{error}; nothing was signed; give each key once") from None
    asked = sent if isinstance(sent, list) else [sent]
    if not 1 <= len(asked) <= PLAYS_MAX:
        raise refused("plays_invalid", f"the body asks for {len(asked)} plays; 1 to {PLAYS_MAX} are allowed")
    return asked
