"""`./viewledger billing proposals …`: imports that wait for a second person, and the decision."""

from collections.abc import Mapping, Sequence
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
    billing_connector,
    show,
)
from jobs.wiring.billing_work import billing_work

DIFFERENCES_SHOWN = 200


def _proposals(environ: Mapping[str, str]) -> PostgresProposals:
    # as the login is: who bills reads them, and who approves without billing
    return PostgresProposals(connector(settings.PostgresConnection.from_environ(environ).url))


@billing_work
def list_proposals(environ: Mapping[str, str], *, as_json: bool) -> ExitCode:
    """Print the waiting imports, oldest first."""
    found = _proposals(environ).waiting()
    rows = [
        (each.proposal_id, f"{each.proposed_at:%Y-%m-%d %H:%M}", each.actor, each.login, each.source) for each in found
    ]
    header = ("proposal", "since (UTC)", "by", "login", "from")
    document = {"proposals": [_document(each) for each in found]}
    show(
        document,
        lambda: aligned(header, rows, left=5) if rows else "nothing waits for a second person",
        as_json=as_json,
    )
    return ExitCode.OK


@billing_work
def show_proposal(environ: Mapping[str, str], *, proposal: str, as_json: bool) -> ExitCode:
    """Print what the import would change."""
    proposals = _proposals(environ)
    found = proposals.proposal(proposal)
    differences = list(islice(proposals.differences(found), DIFFERENCES_SHOWN + 1))
    shown = differences[:DIFFERENCES_SHOWN]
    more = ["and more; the first are shown"] if len(differences) > len(shown) else []
    head = f"{found.proposal_id}, imported by {found.actor} ({found.login}) at {found.proposed_at:%Y-%m-%d %H:%M} UTC"
    document = _document(found) | {"differences": shown, "are_all": not more}
    show(document, lambda: "\n  ".join([head, *(shown or ["nothing would change"]), *more]), as_json=as_json)
    return ExitCode.OK


@billing_work
def approve_proposals(
    environ: Mapping[str, str], *, proposal: Sequence[str], actor: str, reason: str, as_json: bool
) -> ExitCode:
    """Put the import in force, in the role of the approver."""
    return _decide(environ, proposal, Move(IN_FORCE, actor, reason), as_json=as_json)


@billing_work
def refuse_proposals(
    environ: Mapping[str, str], *, proposal: Sequence[str], actor: str, reason: str, as_json: bool
) -> ExitCode:
    """Refuse the import; it can be imported again."""
    return _decide(environ, proposal, Move("refused", actor, reason), as_json=as_json)


def _decide(environ: Mapping[str, str], proposal: Sequence[str], move: Move, *, as_json: bool) -> ExitCode:
    connect = billing_connector(environ, APPROVER_ROLE)
    subjects = PostgresProposals(connect).imported(proposal)  # before the first step: one wrong id, no step
    states = PostgresStates(connect)
    for subject in subjects:
        states.move(*subject, move)
    words = move.to_state.replace("_", " ")
    show(
        {"proposals": proposal, "state": move.to_state},
        lambda: "\n".join(f"{each} is {words}" for each in proposal),
        as_json=as_json,
    )
    return ExitCode.OK


def _document(proposal: Proposal) -> dict[str, Any]:
    shown = {name: value for name, value in vars(proposal).items() if value is not None}
    return {"proposal": proposal.proposal_id, **shown, "proposed_at": proposal.proposed_at.isoformat()}
