"""The page of a payee's own bank and tax details, and the form that asks for another account or address."""

from starlette.responses import Response

from serving_layer.access.access import Scope
from serving_layer.access.http_access import GuardedRoute
from serving_layer.portal.http_form import form_of, text_of
from serving_layer.portal.http_visit import Portal, Visit, page_route, redirect
from serving_layer.portal.ports import RefusedActionError

_PATH = "/portal/account"


def account_routes(portal: Portal) -> list[GuardedRoute]:
    """Return the routes; a payee sees and changes their own account alone."""
    return [
        page_route(portal, _PATH, _account, needs=Scope.STATEMENTS, is_own=True),
        page_route(portal, _PATH, _ask, needs=Scope.ACCOUNTS, is_own=True, methods=("POST",)),
    ]


async def _account(visit: Visit) -> Response:
    return await _page(visit)


async def _page(visit: Visit, *, status: int = 200, refused: str | None = None) -> Response:
    found = await visit.ask(None, visit.portal.earnings.account, visit.payee_id)
    may_ask = visit.known_caller.may(Scope.ACCOUNTS) and found is not None and found.waiting is None
    return visit.page("account.html", status=status, refused=refused, found=found, may_ask=may_ask)


async def _ask(visit: Visit) -> Response:
    form = await form_of(visit)
    if isinstance(form, Response):
        return form
    holder_name, iban, email = (text_of(form, name) for name in ("holder_name", "iban", "email"))
    ask, actor = visit.portal.actions.ask_for_account, visit.known_caller.subject
    try:
        await visit.ask(None, ask, visit.payee_id, holder_name, iban, email or None, actor)
    except RefusedActionError as error:
        return await _page(visit, status=422, refused=str(error))
    return await _page(visit, status=503) if visit.affected else redirect(f"{_PATH}?done=asked")
