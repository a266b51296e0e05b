"""The access declarations of a guarded route's endpoint: dependencies of FastAPI.

FastAPI solves them in the order of the signature, so the caller comes first: a refused caller learns nothing else.
"""

from typing import Annotated, Any

from fastapi import Depends, Path, Security
from fastapi.openapi.models import HTTPBearer
from fastapi.security import SecurityScopes
from fastapi.security.base import SecurityBase
from starlette.requests import Request

from serving_layer.access.access import Caller, Scope, nothing_here, require_payee
from serving_layer.request.http_parameters import RequestId
from serving_layer.request.parameters import refuse_unknown

CALLER_KEY = "viewledger.caller"
"""The key of the caller in the scope of a request, set by the guard."""


class Admission(SecurityBase):
    """Lets callers in who have the scope that a route needs; for the OpenAPI document the security scheme."""

    scheme_name = "bearer"

    def __init__(self, cost: int) -> None:
        self.model = HTTPBearer(description="An API key (`vlk_…`) or a JWT")
        self.cost = cost

    async def __call__(self, request: Request, needs: SecurityScopes, request_id: RequestId = None) -> Caller:
        """Return the caller; raise ProblemError."""
        caller: Caller = await request.scope["route"].guard.admitted(request, Scope(needs.scopes[0]), self.cost)
        return caller


def needing(scope: Scope, *, cost: int = 1) -> Any:
    """Return the declaration of who may ask: `caller: Annotated[Caller, needing(Scope.COUNTS)]`."""
    return Security(Admission(cost), scopes=[scope])


async def _own_payee(
    request: Request, payee_id: Annotated[str, Path(json_schema_extra={"maxLength": 128}, examples=["anna"])]
) -> str:
    require_payee(request.scope[CALLER_KEY], payee_id)
    return payee_id


OwnPayee = Annotated[str, Depends(_own_payee)]
"""The payee of the path, after the caller in a signature: 404 for a caller who does not see it."""


async def _unbound_only(request: Request) -> None:
    if request.scope[CALLER_KEY].payee_id is not None:
        raise nothing_here()


UnboundOnly = Annotated[None, Depends(_unbound_only)]
"""404 for a caller who is bound to a payee: what the route is about is everybody's."""


async def _only_known(request: Request) -> None:
    if request.scope["query_string"]:
        refuse_unknown(request.query_params.multi_items(), request.scope["route"].query_names)


OnlyKnown = Annotated[None, Depends(_only_known)]
"""Every query parameter at most once, and none that the route does not declare."""
