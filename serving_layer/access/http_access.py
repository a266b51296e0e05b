"""The guard before every route: who asks, how often, what it needs; problems, request ids and limits in every answer.

A route is made by the guard or it is not served (`refuse_unguarded`):

    guard.route("/v1/statements/{statement_id}", statement, needs=Scope.STATEMENTS)

    async def statement(request: Request, caller: Caller) -> Response:
        found = ...                                  # read; raise refused(code, detail) for what cannot be done
        if found is None or not caller.sees_payee(found.payee_id):
            raise nothing_here()                     # 404, the same for both
        return Response(...)

`needs` is one scope (`serving_layer.access.access.GRANTS` says which role has which). A caller without it gets 401 or
403 before the endpoint runs. A creator (and a key bound to a payee) has the scope, but only for its own payee: the
endpoint asks `caller.sees_payee(payee_id)`. What an endpoint raises as ProblemError becomes a problem document.
`cost` counts a dear request several times against the sender's limit.

Pages with sign-in of their own make another Guard whose `identify` reads the session, e.g. with
`access.caller_of(token)`, and whose `show` makes a page of a problem. `guard.open` serves a route to everybody.
"""

import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from ingestion.contract.problem import PROBLEM_MEDIA_TYPE, Problem
from serving_layer.access.access import Caller, Scope, nothing_here, require
from serving_layer.access.limits_requests import ANONYMOUS, CALLER, REFUSED, Allowance, RequestLimits
from serving_layer.problems.problems import ProblemError, problem, refused
from serving_layer.request import request_ids

logger = logging.getLogger(__name__)

Endpoint = Callable[[Request, Caller], Awaitable[Response]]
OpenEndpoint = Callable[[Request], Awaitable[Response]]
ShowProblem = Callable[[Request, Problem], Response]


class GuardedRoute(Route):
    """A route of which it is known what it needs: a scope, or None where it is open to everybody."""

    needs: Scope | None = None


def problem_document(_: Request, found: Problem) -> Response:
    """Return the problem as application/problem+json (RFC 9457)."""
    headers = {"Cache-Control": "no-store"}
    return Response(found.to_json(), found.status, headers, media_type=PROBLEM_MEDIA_TYPE)


@dataclass(frozen=True)
class Guard:
    """Makes guarded routes.

    `identify` returns who asks or raises ProblemError; `network_of` returns the network a request came from, which is
    used for limits and never logged.
    """

    identify: Callable[[Request], Awaitable[Caller]]
    limits: RequestLimits
    network_of: Callable[[Request], str]
    show: ShowProblem = problem_document
    logs_every_answer: bool = False
    strict_transport: str | None = None
    """The header Strict-Transport-Security of every answer (RFC 6797), where browsers come by HTTPS."""
    observe: Callable[[str, int], None] = lambda route, status: None
    """Is told the route and the status of every answer; for metrics."""

    def route(
        self, path: str, endpoint: Endpoint, *, needs: Scope, methods: Sequence[str] = ("GET",), cost: int = 1
    ) -> GuardedRoute:
        """Return a route that runs `endpoint` for callers with the scope."""

        async def guarded(request: Request) -> Response:
            allowance: Allowance | None = None
            try:
                caller, allowance = await self._admitted(request, cost)
                require(caller, needs)
                response = await endpoint(request, caller)
            except ProblemError as error:
                response = self.show(request, error.problem)
                response.headers.update(error.headers)
            if allowance is not None:
                response.headers.update(allowance.headers())
            return response

        made = GuardedRoute(path, self._answering(path, guarded), methods=list(methods))
        made.needs = needs
        return made

    def open(
        self, path: str, endpoint: OpenEndpoint, *, methods: Sequence[str] = ("GET",), cost: int = 0
    ) -> GuardedRoute:
        """Return a route that runs `endpoint` for everybody: for probes, documents, pages with a sign-in of their own.

        `cost` counts against what the sender's network may send without a credential; a probe costs nothing.
        """

        async def unguarded(request: Request) -> Response:
            try:
                if cost:
                    _within(self.limits.hit(ANONYMOUS, self.network_of(request), cost))
                return await endpoint(request)
            except ProblemError as error:
                response = self.show(request, error.problem)
                response.headers.update(error.headers)
                return response

        return GuardedRoute(path, self._answering(path, unguarded), methods=list(methods))

    def count(self, caller: Caller, cost: int = 1) -> None:
        """Count a request of somebody who was identified elsewhere; raises ProblemError(rate_limited)."""
        _within(self.limits.hit(CALLER, caller.subject, cost))

    def showing(self, show: ShowProblem) -> "Guard":
        """Return the same guard with another form for problems."""
        return replace(self, show=show)

    async def _admitted(self, request: Request, cost: int) -> tuple[Caller, Allowance]:
        try:
            caller = await self.identify(request)
        except ProblemError as error:
            # Guessing credentials has a limit of its own, per network.
            if error.problem.status == 401:
                _within(self.limits.hit(REFUSED, self.network_of(request)))
            raise
        policy, sender = (ANONYMOUS, self.network_of(request)) if caller.is_anonymous else (CALLER, caller.subject)
        return caller, _within(self.limits.hit(policy, sender, cost))

    def _answering(self, path: str, endpoint: OpenEndpoint) -> OpenEndpoint:
        async def answered(request: Request) -> Response:
            started = time.perf_counter()
            request_id = request_ids.request_id_from(request.headers.get(request_ids.HEADER))
            entered = request_ids.current.set(request_id)
            try:
                response = await self._survived(request, endpoint)
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

    async def _survived(self, request: Request, endpoint: OpenEndpoint) -> Response:
        if "\0" in request.scope["path"]:  # names nothing: no store keeps such a text
            return self.show(request, nothing_here().problem)
        try:
            return await endpoint(request)
        except Exception:  # the outermost handler: the sender gets one sentence, the log gets the trace
            logger.exception("unexpected error")
            return self.show(request, problem("internal_error", "an unexpected error; it was logged"))


def refuse_unguarded(routes: Iterable[BaseRoute]) -> None:
    """Raise where a route was not made by a guard: what nobody decided about is not served."""
    for each in routes:
        if not isinstance(each, GuardedRoute):
            raise TypeError(f"{each} was not made by a guard, so nobody said who may see it")


def _within(allowance: Allowance) -> Allowance:
    if not allowance.is_allowed:
        raise refused(
            "rate_limited",
            f"more than {allowance.quota} requests in {allowance.window_seconds} seconds ({allowance.policy}); "
            f"come back in {allowance.reset_seconds} seconds",
            allowance.headers(),
        )
    return allowance
