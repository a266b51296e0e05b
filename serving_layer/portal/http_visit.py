"""One visit of one page: the caller, the parts that did not answer, and the answer with its headers."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import ParamSpec, TypeVar
from urllib.parse import urlencode

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from ingestion.contract.printable import is_name
from ingestion.contract.unavailable import PART_NAMES, Part, UnavailableError
from serving_layer.access.access import Caller, Scope
from serving_layer.access.http_access import Guard, GuardedRoute
from serving_layer.access.sign_in import BEGINNING, safe_return_path
from serving_layer.counts.merge import ServedCount, ServedVersion
from serving_layer.portal.data_ports import DataReads
from serving_layer.portal.finance_ports import FinanceReads
from serving_layer.portal.http_session import Sessions
from serving_layer.portal.http_templates import rendered
from serving_layer.portal.ports import (
    ChannelCounts,
    EarningsReads,
    IdentityProvider,
    MoneyActions,
    MoneyReads,
    OperatorReads,
)
from serving_layer.portal.records import ServedTotal
from serving_layer.portal.traffic_ports import GroupReviews, PayeeTraffic
from serving_layer.problems.problems import ProblemError
from serving_layer.request import request_ids
from serving_layer.routes.http_live import LiveStreams
from serving_layer.routes.http_proofs import Proofs

SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
    "object-src 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}
NOT_KEPT = {"Cache-Control": "no-store"}
PAGE_COST = 2
"""The cost of a page against the limit of its sender's network; a file costs 1."""
SEARCH_LENGTH_MAX = 200
"""The length of the longest name and title."""


@dataclass(frozen=True)
class NavigationEntry:
    """A page in the navigation: the scope it needs, and whether it shows only the caller's own channel."""

    path: str
    label: str
    needs: Scope
    is_own: bool | None = None
    """True: only for callers bound to a payee; False: only for others; None: for both."""

    def is_for(self, caller: Caller) -> bool:
        """Return whether the caller may open it."""
        return caller.may(self.needs) and self.is_own in (None, caller.payee_id is not None)


PLACES = (
    NavigationEntry("/portal/dashboard", "Dashboard", Scope.BILLABLE, is_own=True),
    NavigationEntry("/portal/earnings", "Earnings", Scope.STATEMENTS, is_own=True),
    NavigationEntry("/portal/videos", "Videos", Scope.BILLABLE, is_own=True),
    NavigationEntry("/portal/invalid", "Invalid traffic", Scope.BILLABLE, is_own=True),
    NavigationEntry("/portal/operator", "Health", Scope.OPERATIONS, is_own=False),
    NavigationEntry("/portal/operator/runs", "Runs", Scope.OPERATIONS, is_own=False),
    NavigationEntry("/portal/operator/versions", "Versions", Scope.OPERATIONS, is_own=False),
    NavigationEntry("/portal/operator/dead-letters", "Dead letters", Scope.OPERATIONS, is_own=False),
    NavigationEntry("/portal/finance", "Close the month", Scope.STATEMENTS, is_own=False),
    NavigationEntry("/portal/finance/month", "The month", Scope.STATEMENTS, is_own=False),
    NavigationEntry("/portal/data", "Data", Scope.BILLABLE, is_own=False),
    NavigationEntry("/portal/operator/approvals", "Approvals", Scope.STATEMENTS, is_own=False),
    NavigationEntry("/portal/traffic", "Groups under review", Scope.TRAFFIC, is_own=False),
    NavigationEntry("/portal/statements", "Statements", Scope.STATEMENTS),
    NavigationEntry("/portal/finance/payments", "Payments", Scope.STATEMENTS, is_own=False),
    NavigationEntry("/portal/finance/payees", "Payees", Scope.STATEMENTS, is_own=False),
    NavigationEntry("/portal/events", "Why not counted?", Scope.EVENTS),
    NavigationEntry("/portal/account", "Account", Scope.STATEMENTS, is_own=True),
    NavigationEntry("/portal/notices", "Notices", Scope.STATEMENTS, is_own=True),
)
"""The navigation; a caller's first page is the first one that it may open."""

MESSAGES = {
    "answered": "The answer is recorded. The payee reads it on their page.",
    "asked": "Your change is recorded. It comes into force when a second person approves it.",
    "appealed": "Your appeal is recorded. The answer will appear here.",
    "approved": "The statement is approved.",
    "confirmed": "The group is confirmed as invalid. The next batch run applies it.",
    "released": "The group is released. The next batch run applies it.",
    "reviewed": "The statement is in review now.",
    "voided": "The statement is void.",
    "replayed": "The message was sent again under its own id.",
}
"""The message of a page after an action, by the word in its address: no other text can be shown there."""

Params = ParamSpec("Params")
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Portal:
    """The parts that the pages work with."""

    guard: Guard
    sessions: Sessions
    counts: ChannelCounts
    money: MoneyReads
    earnings: EarningsReads
    actions: MoneyActions
    finance: FinanceReads
    data: DataReads
    proofs: Proofs
    operator: OperatorReads
    live: LiveStreams
    provider: IdentityProvider | None
    """The provider where people sign in; None: only by pasting a token or key."""
    version: Callable[[], ServedVersion | None]
    missing_part: Callable[[bool], Part | None]
    """Returns the part by which a served count misses views; see `CountsReader`."""
    reviews: GroupReviews
    traffic: PayeeTraffic
    now: Callable[[], datetime] = lambda: datetime.now(UTC)


@dataclass
class Visit:
    """One request for a page."""

    portal: Portal
    request: Request
    caller: Caller | None
    affected: dict[str, str] = field(default_factory=dict)
    """Part that did not answer → the sentence about it on the page."""

    async def ask(
        self, default: Answer, call: Callable[Params, Answer], *args: Params.args, **kwargs: Params.kwargs
    ) -> Answer:
        """Return the answer of a part, or `default`; the page then names the part that did not answer."""
        try:
            return await run_in_threadpool(call, *args, **kwargs)
        except UnavailableError as error:
            self.affected.setdefault(error.part, silent(error.part))
            return default

    async def attempt(self, default: Answer, answer: Awaitable[Answer]) -> Answer:
        """Return the answer of one of the API's own readers, or `default`, in the same way."""
        try:
            return await answer
        except ProblemError as error:
            if error.problem.part is None:
                raise
            self.affected.setdefault(error.problem.part, sentence(error.problem.detail))
            return default

    def note_missing(self, count: ServedCount | ServedTotal | None) -> None:
        """Make the page name the part that does not answer, if a served count misses views because of it."""
        if count is not None and self.portal.missing_part(count.complete) is Part.REDIS:
            self.affected.setdefault(Part.REDIS, silent(Part.REDIS))

    def page(self, template: str, *, status: int = 200, refused: str | None = None, **context: object) -> Response:
        """Return a page; forms in it are bound to this visit."""
        csrf, fresh = self.portal.sessions.form_token(self.request)
        common: dict[str, object] = {
            "caller": self.caller,
            "places": [place for place in PLACES if self.caller is not None and place.is_for(self.caller)],
            "here": self.request.url.path,
            "version": self.portal.version(),
            "affected": self.affected.values(),
            "message": MESSAGES.get(self.request.query_params.get("done", "")),
            "refused": refused,
            "csrf": csrf,
        }
        response = HTMLResponse(rendered(template, common | context), status, headers=SECURITY_HEADERS | NOT_KEPT)
        if fresh is not None:
            self.portal.sessions.set_visit(response, fresh)
        return response

    def problem(self, status: int, title: str, sentence: str) -> Response:
        """Return a page with one sentence about the error."""
        request_id = request_ids.current.get()
        return self.page("problem.html", status=status, title=title, sentence=sentence, request_id=request_id)

    def not_now(self, what: str) -> Response:
        """Return the page for what a part that does not answer has."""
        return self.problem(503, "Not now", f"{what} cannot be read now; try again shortly.")

    def refused_search(self, text: str, label: str = "A search") -> Response | None:
        """Return the page that refuses a text to search for; None if it can be one, or there is none."""
        if not text or is_name(text, most=SEARCH_LENGTH_MAX):
            return None
        return self.problem(
            422, "Not a search", f"{label} has at most {SEARCH_LENGTH_MAX} characters that can be shown."
        )

    @property
    def known_caller(self) -> Caller:
        """Return the signed-in caller, on a page that needs one."""
        assert self.caller is not None  # noqa: S101  `page_route` lets nobody else in
        return self.caller

    @property
    def payee_id(self) -> str:
        """Return the payee that the caller is bound to, on a page that only such callers reach."""
        payee_id = self.known_caller.payee_id
        assert payee_id is not None  # noqa: S101  `page_route` lets nobody else in
        return payee_id

    def not_found(self) -> Response:
        """Return the page for missing things and for things this person may not see: the two look the same."""
        return self.problem(404, "Not here", "There is nothing at this address, or it is not yours to see.")


Handler = Callable[[Visit], Awaitable[Response]]


def page_route(
    portal: Portal,
    path: str,
    handler: Handler,
    *,
    needs: Scope,
    is_own: bool | None = None,
    methods: Sequence[str] = ("GET",),
) -> GuardedRoute:
    """Return a page's route: it redirects visitors to sign in, and shows callers without the scope a missing page.

    `is_own` is that of `NavigationEntry`.
    """

    async def answered(request: Request) -> Response:
        visit = Visit(portal, request, await portal.sessions.caller(request))
        if visit.caller is None:
            return _to_sign_in(request)
        portal.guard.count(visit.caller)
        if not visit.caller.may(needs) or is_own not in (None, visit.caller.payee_id is not None):
            return visit.not_found()
        return await handler(visit)

    return portal.guard.open(path, answered, methods=methods, cost=PAGE_COST)


def _to_sign_in(request: Request) -> Response:
    """Ask to sign in, and come back to the page after it."""
    query = f"?{request.url.query}" if request.url.query else ""
    path = safe_return_path(request.url.path + query) if request.method == "GET" else BEGINNING
    return redirect("/portal/sign-in" if path == BEGINNING else f"/portal/sign-in?{urlencode({'return': path})}")


def sentence(detail: str) -> str:
    """Return a problem's text as a whole sentence."""
    return f"{detail[0].upper()}{detail[1:]}."


def silent(part: Part) -> str:
    """Return the sentence that a part does not answer; its own message is for the log, not for a page."""
    return f"{PART_NAMES[part]} does not answer."


def redirect(path: str) -> Response:
    """Send the browser to another page of the portal, by GET."""
    return RedirectResponse(path, 303, headers=SECURITY_HEADERS | NOT_KEPT)
