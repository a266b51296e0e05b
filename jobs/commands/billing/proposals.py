"""`./viewledger billing proposals | proposal | proposal-approve | proposal-refuse`: who lets an import into force."""

import argparse
from collections.abc import Mapping
from itertools import islice
from typing import Any

from billing.books.postgres_states import PostgresStates
from billing.books.states import Move
from billing.postgres_session import connector
from billing.terms.imports import IN_FORCE
from billing.terms.postgres_proposals import PostgresProposals, Proposal
from jobs import settings
from jobs.commands.billing.tables import aligned
from jobs.exit_codes import ExitCode
from jobs.wiring.billing_settings import (
    APPROVER_ROLE,
    Actions,
    actor_of,
    add_action,
    add_actor,
    add_reason,
    billing_connector,
    reason_of,
    show,
)

DIFFERENCES_SHOWN = 200


def add_actions(actions: Actions) -> None:
    """Declare the actions on what waits for a second person."""
    add_action(
        actions, "proposals", list_proposals, "catalogues, rates and bank accounts that wait for a second person"
    )
    one = add_action(actions, "proposal", show_proposal, "what would change if it came into force")
    approve = add_action(actions, "proposal-approve", approve_proposals, "put it in force; not by who imported it")
    refuse = add_action(actions, "proposal-refuse", refuse_proposals, "never put it in force")
    one.add_argument("--proposal", required=True, metavar="ID")
    for action, text in ((approve, "who approves it; not who imported it"), (refuse, "who refuses it")):
        action.add_argument("--proposal", action="append", required=True, metavar="ID", help="may be repeated")
        add_actor(action, text)
    add_reason(approve, required=False)
    add_reason(refuse)


def _proposals(environ: Mapping[str, str]) -> PostgresProposals:
    # as the login is: who bills reads them, and who approves without billing
    return PostgresProposals(connector(settings.PostgresConnection.from_environ(environ).url))


def list_proposals(arguments: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    """Print what waits, oldest first."""
    found = _proposals(environ).waiting()
    rows = [
        (each.proposal_id, f"{each.proposed_at:%Y-%m-%d %H:%M}", each.actor, each.login, each.source) for each in found
    ]
    header = ("proposal", "since (UTC)", "by", "login", "from")
    document = {"proposals": [_document(each) for each in found]}
    show(arguments, document, lambda: aligned(header, rows, left=5) if rows else "nothing waits for a second person")
    return ExitCode.OK


def show_proposal(arguments: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    """Print what would be another than it is now."""
    proposals = _proposals(environ)
    found = proposals.proposal(arguments.proposal)
    differences = list(islice(proposals.differences(found), DIFFERENCES_SHOWN + 1))
    shown = differences[:DIFFERENCES_SHOWN]
    more = ["and more; the first are shown"] if len(differences) > len(shown) else []
    head = f"{found.proposal_id}, imported by {found.actor} ({found.login}) at {found.proposed_at:%Y-%m-%d %H:%M} UTC"
    document = _document(found) | {"differences": shown, "are_all": not more}
    show(arguments, document, lambda: "\n  ".join([head, *(shown or ["nothing would change"]), *more]))
    return ExitCode.OK


def approve_proposals(arguments: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    """Put what waits in force, in the role of the approver."""
    return _decide(arguments, environ, IN_FORCE)


def refuse_proposals(arguments: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    """Refuses what waits: it is imported again if it is wanted after all."""
    return _decide(arguments, environ, "refused")


def _decide(arguments: argparse.Namespace, environ: Mapping[str, str], state: str) -> ExitCode:
    move = Move(state, actor_of(arguments), reason_of(arguments))
    connect = billing_connector(environ, APPROVER_ROLE)
    subjects = PostgresProposals(connect).imported(arguments.proposal)  # before the first step: one wrong id, no step
    states = PostgresStates(connect)
    for subject in subjects:
        states.move(*subject, move)
    words = state.replace("_", " ")
    show(
        arguments,
        {"proposals": arguments.proposal, "state": state},
        lambda: "\n".join(f"{each} is {words}" for each in arguments.proposal),
    )
    return ExitCode.OK


def _document(proposal: Proposal) -> dict[str, Any]:
    shown = {name: value for name, value in vars(proposal).items() if value is not None}
    return {"proposal": proposal.proposal_id, **shown, "proposed_at": proposal.proposed_at.isoformat()}
