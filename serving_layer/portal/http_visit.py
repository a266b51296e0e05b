"""One visit of one page: who asks, what could not be asked for, and the answer with its headers."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import ParamSpec, TypeVar
from urllib.parse import urlencode

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from ingestion.contract.printable import is_text
from ingestion.contract.unavailable import PART_NAMES, Part, UnavailableError
from serving_layer.access.access import Caller, Scope
from serving_layer.access.http_access import Guard, GuardedRoute
from serving_layer.access.sign_in import BEGINNING, safe_return_path
from serving_layer.counts.merge import ServedCount, ServedVersion
from serving_layer.portal.http_session import Sessions
from serving_layer.portal.http_templates import rendered
from serving_layer.portal.ports import ChannelCounts, IdentityProvider, MoneyActions, MoneyReads, OperatorReads
from serving_layer.portal.records import ServedTotal
from serving_layer.problems.problems import ProblemError
from serving_layer.request import request_ids
from serving_layer.request.parameters import is_number
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
"""Of a page, against what its sender's network may send; a file costs 1."""
FORM_BYTES_MAX = 16 * 1024


@dataclass(frozen=True)
class NavigationEntry:
    """A page in the navigation: what it needs, and whether it is about the own channel or about everybody's."""

    path: str
    label: str
    needs: Scope
    is_own: bool | None = None
    """True: only for callers bound to a payee; False: only for others; None: for both."""

    def is_for(self, caller: Caller) -> bool:
        """Whether the caller reaches it."""
        return caller.may(self.needs) and self.is_own in (None, caller.payee_id is not None)


PLACES = (
    NavigationEntry("/portal/dashboard", "Dashboard", Scope.BILLABLE, is_own=True),
    NavigationEntry("/portal/videos", "Videos", Scope.BILLABLE, is_own=True),
    NavigationEntry("/portal/operator", "Health", Scope.OPERATIONS, is_own=False),
    NavigationEntry("/portal/operator/runs", "Runs", Scope.OPERATIONS, is_own=False),
    NavigationEntry("/portal/operator/versions", "Versions", Scope.OPERATIONS, is_own=False),
    NavigationEntry("/portal/operator/dead-letters", "Dead letters", Scope.OPERATIONS, is_own=False),
    NavigationEntry("/portal/operator/approvals", "Approvals", Scope.STATEMENTS, is_own=False),
    NavigationEntry("/portal/statements", "Statements", Scope.STATEMENTS),
    NavigationEntry("/portal/events", "Why not counted?", Scope.EVENTS),
    NavigationEntry("/portal/notices", "Notices", Scope.STATEMENTS, is_own=True),
)
"""The navigation; the first that a caller reaches is where they begin."""

SAID = {
    "appealed": "Your appeal is recorded. The answer will appear here.",
    "approved": "The statement is approved.",
    "reviewed": "The statement is in review now.",
    "voided": "The statement is void.",
    "replayed": "The message was sent again under its own id.",
}
"""What a page says after an action, by the word in its address: nobody can put another text there."""

Asked = ParamSpec("Asked")
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Portal:
    """What the pages work with."""

    guard: Guard
    sessions: Sessions
    counts: ChannelCounts
    money: MoneyReads
    actions: MoneyActions
    proofs: Proofs
    operator: OperatorReads
    live: LiveStreams
    provider: IdentityProvider | None
    """Where people sign in; None: only with what they paste."""
    version: Callable[[], ServedVersion | None]
    missing_part: Callable[[bool], Part | None]
    """What a served count that is complete or not misses views for; see `CountsReader`."""
    now: Callable[[], datetime] = lambda: datetime.now(UTC)


@dataclass
class Visit:
    """One request for a page."""

    portal: Portal
    request: Request
    caller: Caller | None
    affected: dict[str, str] = field(default_factory=dict)
    """Part that something could not be had from → what the page says of it."""

    async def ask(
        self, default: Answer, call: Callable[Asked, Answer], *args: Asked.args, **kwargs: Asked.kwargs
    ) -> Answer:
        """Return what a part answers; where it does not, `default`, and the page will say which part it is."""
        try:
            return await run_in_threadpool(call, *args, **kwargs)
        except UnavailableError as error:
            self.affected.setdefault(error.part, silent(error.part))
            return default

    async def attempt(self, default: Answer, answer: Awaitable[Answer]) -> Answer:
        """Return what one of the API's own readers answers, or `default` likewise."""
        try:
            return await answer
        except ProblemError as error:
            if error.problem.part is None:
                raise
            self.affected.setdefault(error.problem.part, sentence(error.problem.detail))
            return default

    def note_missing(self, count: ServedCount | ServedTotal | None) -> None:
        """Let the page say which part does not answer, where views of a served count are missing for that."""
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
            "said": SAID.get(self.request.query_params.get("said", "")),
            "refused": refused,
            "csrf": csrf,
        }
        response = HTMLResponse(rendered(template, common | context), status, headers=SECURITY_HEADERS | NOT_KEPT)
        if fresh is not None:
            self.portal.sessions.set_visit(response, fresh)
        return response

    def problem(self, status: int, title: str, sentence: str) -> Response:
        """Return a page that says in one sentence what went wrong."""
        request_id = request_ids.current.get()
        return self.page("problem.html", status=status, title=title, sentence=sentence, request_id=request_id)

    @property
    def known_caller(self) -> Caller:
        """Who is signed in, on a page that only they reach."""
        assert self.caller is not None  # noqa: S101  `page_route` lets nobody else in
        return self.caller

    @property
    def payee_id(self) -> str:
        """The payee that the caller is bound to, on a page that only such callers reach."""
        payee_id = self.known_caller.payee_id
        assert payee_id is not None  # noqa: S101  `page_route` lets nobody else in
        return payee_id

    def not_found(self) -> Response:
        """Return the page for what is not there, or not for this person: the two look the same."""
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
    """Return a page's route: who is not signed in is sent to sign in, and who lacks the scope finds nothing there.

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


async def form_of(visit: Visit) -> FormData | Response:
    """Return the form that was sent, or the page that says why it is not accepted."""
    length = visit.request.headers.get("content-length", "")
    if not is_number(length) or int(length) > FORM_BYTES_MAX:
        return visit.problem(413, "Too much text", f"A form has at most {FORM_BYTES_MAX} bytes and says how many.")
    media_type = visit.request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/x-www-form-urlencoded":  # what our pages send; other forms may name any codec
        return visit.problem(415, "Not a form", "What was sent is not a form of these pages; send it from the page.")
    form = await visit.request.form(max_files=0, max_fields=20)
    if visit.portal.sessions.is_foreign(visit.request):
        return visit.problem(403, "From elsewhere", "This form was sent by a page of another site; nothing was done.")
    if not visit.portal.sessions.accepts(visit.request, form.get("csrf")):
        return visit.problem(403, "This form is too old", "Open the page again and send the form from there.")
    texts = [value for value in form.values() if isinstance(value, str) and value.strip()]
    if not all(is_text(text, most=FORM_BYTES_MAX) for text in texts):
        return visit.problem(422, "Not a text", "A field has a character that cannot be shown; leave it out.")
    return form


def text_of(form: FormData, name: str) -> str:
    """Return a field's text without the white space around it."""
    value = form.get(name)
    return value.strip() if isinstance(value, str) else ""


def sentence(detail: str) -> str:
    """Return what a problem says as a whole sentence."""
    return f"{detail[0].upper()}{detail[1:]}."


def silent(part: Part) -> str:
    """Return the sentence that a part does not answer; what it said is for the log, not for a page."""
    return f"{PART_NAMES[part]} does not answer."


def redirect(path: str) -> Response:
    """Send the browser to another page of the portal, by GET."""
    return RedirectResponse(path, 303, headers=SECURITY_HEADERS | NOT_KEPT)
