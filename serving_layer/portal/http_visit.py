"""One visit of one page: who asks, what could not be asked for, and the answer with its headers."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import ParamSpec, TypeVar

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from serving_layer.merge import ServedVersion
from serving_layer.portal.http_session import Sessions
from serving_layer.portal.http_templates import rendered
from serving_layer.portal.ports import (
    ChannelReads,
    EventReads,
    MoneyActions,
    MoneyReads,
    OperatorReads,
    PartUnavailableError,
    ServedReads,
)
from serving_layer.portal.records import Person, Role

SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
    "object-src 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}
NOT_KEPT = {"Cache-Control": "no-store"}
FORM_BYTES_MAX = 16 * 1024

_CREATOR_PLACES = (
    ("/portal/dashboard", "Dashboard"),
    ("/portal/videos", "Videos"),
    ("/portal/statements", "Statements"),
    ("/portal/events", "Why not counted?"),
    ("/portal/notices", "Notices"),
)
_OPERATOR_PLACES = (
    ("/portal/operator", "Health"),
    ("/portal/operator/runs", "Runs"),
    ("/portal/operator/versions", "Versions"),
    ("/portal/operator/dead-letters", "Dead letters"),
)
_MONEY_PLACES = (
    ("/portal/operator/approvals", "Approvals"),
    ("/portal/statements", "Statements"),
    ("/portal/events", "Events"),
)
PLACES: dict[Role, tuple[tuple[str, str], ...]] = {
    Role.CREATOR: _CREATOR_PLACES,
    Role.FINANCE: _MONEY_PLACES,
    Role.AUDITOR: _MONEY_PLACES[1:],
    Role.OPERATOR: _OPERATOR_PLACES + _MONEY_PLACES,
}
"""What each role finds in the navigation; the first is where it begins."""

MONEY_READERS = (Role.CREATOR, Role.FINANCE, Role.AUDITOR, Role.OPERATOR)
"""Who sees statements: creators their own, the others all."""

SAID = {
    "appealed": "Your appeal is registered. The answer will stand here.",
    "approved": "The statement is approved.",
    "released": "The statement is released.",
    "voided": "The statement is void.",
    "replayed": "The message was sent again under its own id.",
}
"""What a page says after an action, by the word in its address: nobody can put another text there."""

Asked = ParamSpec("Asked")
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Portal:
    """What the pages work with; `provider` is the name of the identity provider, where there is one."""

    sessions: Sessions
    served: ServedReads
    channels: ChannelReads
    money: MoneyReads
    actions: MoneyActions
    events: EventReads
    operator: OperatorReads
    version: Callable[[], ServedVersion | None]
    now: Callable[[], datetime] = lambda: datetime.now(UTC)


@dataclass
class Visit:
    """One request for a page."""

    portal: Portal
    request: Request
    person: Person | None
    affected: list[str] = field(default_factory=list)

    async def ask(
        self, default: Answer, call: Callable[Asked, Answer], *args: Asked.args, **kwargs: Asked.kwargs
    ) -> Answer:
        """Return what a part answers; where it does not, `default`, and the page will say which part it is."""
        try:
            return await run_in_threadpool(call, *args, **kwargs)
        except PartUnavailableError as error:
            self._note(error)
            return default

    async def ask_served(self, answer: Awaitable[Answer]) -> Answer | None:
        """Return what the event loop's own reader answers, or None likewise."""
        try:
            return await answer
        except PartUnavailableError as error:
            self._note(error)
            return None

    def page(self, template: str, *, status: int = 200, refused: str | None = None, **context: object) -> Response:
        """Return a page; forms in it are bound to this visit."""
        csrf, fresh = self.portal.sessions.form_token(self.request)
        common: dict[str, object] = {
            "person": self.person,
            "places": PLACES[self.person.role] if self.person else (),
            "here": self.request.url.path,
            "version": self.portal.version(),
            "affected": self.affected,
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
        request_id = getattr(self.request.state, "request_id", None)
        return self.page("problem.html", status=status, title=title, sentence=sentence, request_id=request_id)

    @property
    def payee_or_all(self) -> str | None:
        """The payee that this person is kept to; None for those who see all."""
        assert self.person is not None  # noqa: S101  `endpoint` lets nobody else in
        return self.person.payee_id

    @property
    def payee_id(self) -> str:
        """The creator's payee."""
        payee_id = self.payee_or_all
        assert payee_id is not None  # noqa: S101  a creator always has one; see `Person`
        return payee_id

    def not_found(self) -> Response:
        """Return the page for what is not there, or not for this person: the two look the same."""
        return self.problem(404, "Not here", "There is nothing at this address, or it is not yours to see.")

    def _note(self, error: PartUnavailableError) -> None:
        if error.part not in self.affected:
            self.affected.append(error.part)


Handler = Callable[[Visit], Awaitable[Response]]


def endpoint(portal: Portal, handler: Handler, *roles: Role) -> Callable[[Request], Awaitable[Response]]:
    """Return a route that only people of these roles reach: others are sent to sign in, or see nothing there.

    A form is read only when it was made on a page of the same visit.
    """

    async def answered(request: Request) -> Response:
        visit = Visit(portal, request, await run_in_threadpool(portal.sessions.person, request))
        if visit.person is None:
            return redirect("/portal/sign-in")
        if visit.person.role not in roles:
            return visit.not_found()
        return await handler(visit)

    return answered


async def form_of(visit: Visit) -> FormData | Response:
    """Return the form that was sent, or the page that says why it is not accepted."""
    length = visit.request.headers.get("content-length", "")
    if not length.isascii() or not length.isdecimal() or int(length) > FORM_BYTES_MAX:
        return visit.problem(413, "Too much text", f"A form has at most {FORM_BYTES_MAX} bytes and says how many.")
    form = await visit.request.form(max_files=0, max_fields=20)
    if not visit.portal.sessions.accepts(visit.request, form.get("csrf")):
        return visit.problem(403, "This form is too old", "Open the page again and send the form from there.")
    return form


def text_of(form: FormData, name: str) -> str:
    """Return a field's text without the white space around it."""
    value = form.get(name)
    return value.strip() if isinstance(value, str) else ""


def redirect(path: str) -> Response:
    """Send the browser to another page of the portal, by GET."""
    return RedirectResponse(path, 303, headers=SECURITY_HEADERS | NOT_KEPT)
