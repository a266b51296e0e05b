"""The guard before every route: caller, rate limit and scope; problems, request ids and limits in every answer.

A route is a FastAPI route made by the guard, or it is not served (`refuse_unguarded`):

    guard.route("/v1/statements/{statement_id}", statement)

    async def statement(caller: Annotated[Caller, needing(Scope.STATEMENTS)], statement_id: StatementId) -> Response:
        found = ...                                  # read; raise refused(code, detail) if it is not possible
        if found is None or not caller.sees_payee(found.payee_id):
            raise nothing_here()                     # 404, the same for both
        return Response(...)

`needing` names one scope (`serving_layer.access.access.GRANTS` lists those of each role). A caller without it gets 401
or 403 before anything else is checked: FastAPI solves dependencies in the order of the signature, so the caller comes
first. A creator (and a key bound to a payee) has the scope, but only for its own payee: the endpoint takes the payee
as `OwnPayee`, or checks `caller.sees_payee(payee_id)`. A ProblemError of an endpoint or a dependency becomes a problem
document, and so does an error that FastAPI itself finds. `cost` counts an expensive request several times
against the sender's limit.

Pages with sign-in of their own make another Guard whose `identify` reads the session, e.g. with
`access.caller_of(token)`, and whose `show` makes a page of a problem. `guard.open` serves a route to everybody.
"""

import copy
import inspect
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from ingestion.contract.problem import PROBLEM_MEDIA_TYPE, Problem
from serving_layer.access.access import Caller, Scope, nothing_here, require
from serving_layer.access.http_needs import CALLER_KEY, Admission
from serving_layer.access.limits_requests import ANONYMOUS, CALLER, REFUSED, Allowance, RequestLimits
from serving_layer.problems.problems import ProblemError, problem, refused
from serving_layer.request import request_ids
from serving_layer.request.http_parameters import parameter_problem, query_names

logger = logging.getLogger(__name__)

Endpoint = Callable[..., Awaitable[Response]]
Answering = Callable[[Request], Coroutine[Any, Any, Response]]
Quick = Callable[[Request], Coroutine[Any, Any, Response] | None]
ShowProblem = Callable[[Request, Problem], Response]
_ALLOWANCE = "viewledger.allowance"


class GuardedRoute(APIRoute):
    """A FastAPI route whose every answer a guard sees.

    The endpoint's docstring is its description. `quick` answers a request without FastAPI's reading of parameters, or
    returns None where they have to be read.
    """

    def __init__(
        self,
        guard: "Guard",
        path: str,
        endpoint: Endpoint,
        *,
        quick: Quick | None = None,
        cost: int = 0,
        **declared: Any,
    ) -> None:
        named: Any = getattr(endpoint, "func", endpoint)  # of a partial
        self.guard, self.quick, self.cost = guard, quick, cost
        declared = {"name": named.__name__, "description": inspect.getdoc(named), "response_class": Response} | declared
        super().__init__(path, endpoint, response_model=None, **declared)
        self.described_methods = set(self.methods or ())
        if "GET" in self.described_methods:
            self.methods = self.described_methods | {"HEAD"}  # as Starlette's own routes do

    def get_route_handler(self) -> Answering:
        """Return what answers a request: FastAPI's handler, with the guard before and after it."""
        return self.guard.answering(self, super().get_route_handler())

    @cached_property
    def query_names(self) -> frozenset[str]:
        """The query parameters that the route has."""
        return query_names(self.dependant)

    def described(self) -> "GuardedRoute":
        """Return the route for the OpenAPI document, which has no HEAD: it is GET without the body."""
        route = copy.copy(self)
        route.methods = self.described_methods
        return route


def problem_document(_: Request, found: Problem) -> Response:
    """Return the problem as application/problem+json (RFC 9457)."""
    headers = {"Cache-Control": "no-store"}
    return Response(found.to_json(), found.status, headers, media_type=PROBLEM_MEDIA_TYPE)


@dataclass(frozen=True)
class Guard:
    """Makes guarded routes.

    `identify` returns the caller or raises ProblemError; `network_of` returns the network a request came from, which is
    used for limits and never logged.
    """

    identify: Callable[[Request], Awaitable[Caller]]
    limits: RequestLimits
    network_of: Callable[[Request], str]
    show: ShowProblem = problem_document
    logs_every_answer: bool = False
    strict_transport: str | None = None
    """The header Strict-Transport-Security of every answer (RFC 6797), if browsers use HTTPS."""
    observe: Callable[[str, int], None] = lambda route, status: None
    """Receives the route and the status of every answer; for metrics."""

    def route(
        self,
        path: str,
        endpoint: Endpoint,
        *,
        methods: Sequence[str] = ("GET",),
        quick: Quick | None = None,
        **declared: Any,
    ) -> GuardedRoute:
        """Return a route that runs `endpoint` for the callers that its signature declares by `needing`.

        `declared` is what FastAPI takes: `summary`, `responses` and so on.
        """
        made = GuardedRoute(self, path, endpoint, methods=list(methods), quick=quick, **declared)
        if not any(isinstance(each.call, Admission) for each in made.dependant.dependencies):
            raise TypeError(f"{path} does not declare who may ask; give its endpoint a caller with `needing`")
        return made

    def open(
        self, path: str, endpoint: Endpoint, *, methods: Sequence[str] = ("GET",), cost: int = 0, **declared: Any
    ) -> GuardedRoute:
        """Return a route that runs `endpoint` for everybody: for probes, documents, pages with a sign-in of their own.

        `cost` counts against what the sender's network may send without a credential; a probe costs nothing. Without a
        `summary` it is not in the OpenAPI document.
        """
        declared |= {"include_in_schema": "summary" in declared, "openapi_extra": {"security": []}}
        return GuardedRoute(self, path, endpoint, methods=list(methods), cost=cost, **declared)

    def count(self, caller: Caller, cost: int = 1) -> None:
        """Count a request of a caller who was identified elsewhere; raise ProblemError(rate_limited)."""
        _within(self.limits.hit(CALLER, caller.subject, cost))

    def showing(self, show: ShowProblem) -> "Guard":
        """Return the same guard with another form for problems."""
        return replace(self, show=show)

    async def admitted(self, request: Request, needs: Scope, cost: int = 1) -> Caller:
        """Return the caller, counted against its limit; raise ProblemError if it has no access."""
        try:
            caller = await self.identify(request)
        except ProblemError as error:
            # Guessing credentials has a limit of its own, per network.
            if error.problem.status == 401:
                _within(self.limits.hit(REFUSED, self.network_of(request)))
            raise
        policy, sender = (ANONYMOUS, self.network_of(request)) if caller.is_anonymous else (CALLER, caller.subject)
        request.scope[CALLER_KEY] = caller
        request.scope[_ALLOWANCE] = _within(self.limits.hit(policy, sender, cost))
        require(caller, needs)
        return caller

    def answering(self, route: GuardedRoute, typed: Answering) -> Answering:
        """Return what answers the requests of a route; `typed` is FastAPI's handler of it."""
        path = route.path

        async def answered(request: Request) -> Response:
            started = time.perf_counter()
            request_id = request_ids.request_id_from(request.headers.get(request_ids.HEADER))
            entered = request_ids.current.set(request_id)
            try:
                response = await self._survived(request, route, typed)
                response.headers[request_ids.HEADER] = request_id
                response.headers["X-Content-Type-Options"] = "nosniff"
                if self.strict_transport is not None:
                    response.headers["Strict-Transport-Security"] = self.strict_transport
                self.observe(path, response.status_code)
                if self.logs_every_answer or response.status_code >= 400 or request.method not in ("GET", "HEAD"):
                    fields = {
                        "method": request.method,
                        "route": path,
                        "status": response.status_code,
                        "milliseconds": round((time.perf_counter() - started) * 1000, 1),
                    }
                    logger.info("answered", extra={"fields": fields})
                return response
            finally:
                request_ids.current.reset(entered)

        return answered

    async def _survived(self, request: Request, route: GuardedRoute, typed: Answering) -> Response:
        if "\0" in request.scope["path"]:  # such a name cannot exist: no store keeps such a text
            return self.show(request, nothing_here().problem)
        try:
            response = await self._answer(request, route, typed)
        except Exception:  # the outermost handler: the sender gets one sentence, the log gets the trace
            logger.exception("unexpected error")
            return self.show(request, problem("internal_error", "an unexpected error; it was logged"))
        if (allowance := request.scope.get(_ALLOWANCE)) is not None:
            response.headers.update(allowance.headers())
        return response

    async def _answer(self, request: Request, route: GuardedRoute, typed: Answering) -> Response:
        try:
            if route.cost:
                _within(self.limits.hit(ANONYMOUS, self.network_of(request), route.cost))
            quick = route.quick(request) if route.quick is not None else None
            return await (typed(request) if quick is None else quick)
        except RequestValidationError as error:
            refusal = parameter_problem(route.dependant, error)
        except ProblemError as error:
            refusal = error
        response = self.show(request, refusal.problem)
        response.headers.update(refusal.headers)
        return response


def refuse_unguarded(routes: Iterable[BaseRoute]) -> None:
    """Raise if a route was not made by a guard: a route without an access decision is not served."""
    for each in routes:
        if not isinstance(each, GuardedRoute):
            raise TypeError(f"{each} was not made by a guard, so no access rule applies to it")


def _within(allowance: Allowance) -> Allowance:
    if not allowance.is_allowed:
        raise refused(
            "rate_limited",
            f"more than {allowance.quota} requests in {allowance.window_seconds} seconds ({allowance.policy}); "
            f"come back in {allowance.reset_seconds} seconds",
            allowance.headers(),
        )
    return allowance
