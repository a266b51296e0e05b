"""What was imported and waits for a second person, and the step by which that person decides."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from billing.errors import UnknownNameError
from billing.postgres_session import Connect, one_transaction
from billing.terms.catalogue import Catalogue
from billing.terms.differences import catalogue_differences, contract_differences
from billing.terms.postgres_catalogue import PostgresCatalogueStore

KINDS = {"catalogue": "catalogue", "contract": "rates", "bank_account": "account"}
"""Kind of subject in the database → as people name it in `rates:3`."""
_PROPOSALS = """
    SELECT subject_kind, subject_id, actor, login, reason, moved_at, payee_id, holder_name, account, holder_before,
           account_before
    FROM billing.proposals ORDER BY moved_at, subject_kind, subject_id"""


@dataclass(frozen=True)
class Proposal:
    """Something that comes into force when somebody else approves it."""

    kind: str
    subject_id: str
    actor: str
    """Who imported it."""
    login: str
    """By which login of the database."""
    source: str
    proposed_at: datetime
    payee_id: str | None = None
    holder_name: str | None = None
    account: str | None = None
    """As messages show it: the country and the last four characters."""
    holder_before: str | None = None
    account_before: str | None = None

    @property
    def proposal_id(self) -> str:
        """By what it is named in commands."""
        return f"{KINDS[self.kind]}:{self.subject_id}"


class PostgresProposals:
    """Reads what waits; needs no right to decide."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect

    def waiting(self) -> list[Proposal]:
        """Return all that waits, oldest first."""
        with one_transaction(self._connect) as cursor:
            cursor.execute(_PROPOSALS)
            return [Proposal(*row) for row in cursor]

    def proposal(self, proposal_id: str) -> Proposal:
        """Return what waits under an id.

        Raises:
            UnknownNameError: nothing does.
        """
        found = next((each for each in self.waiting() if each.proposal_id == proposal_id), None)
        if found is None:
            raise UnknownNameError(f"nothing waits as {proposal_id!r}; `billing proposals` lists what does")
        return found

    def differences(self, proposal: Proposal) -> Iterator[str]:
        """Yield in sentences what would be another than it is, read from the rows themselves."""
        store = PostgresCatalogueStore(self._connect)
        if proposal.kind == "catalogue":
            _, before = store.newest_catalogue() or (0, Catalogue((), (), ()))
            yield from catalogue_differences(before, store.catalogue(int(proposal.subject_id)))
        elif proposal.kind == "contract":
            in_force = store.newest_contracts()
            yield from contract_differences(in_force and in_force[1], store.contracts(int(proposal.subject_id)))
        else:
            now = f"{proposal.account} of {proposal.holder_name}"
            before_text = f"{proposal.account_before} of {proposal.holder_before}"
            was = f"was paid to {before_text}" if proposal.account_before else "had no account"
            yield f"payee {proposal.payee_id} {was} and would be paid to {now}"


def subject_of(proposal_id: str) -> tuple[str, str]:
    """Return the kind and id in the database of what people name.

    Raises:
        UnknownNameError: it has not the form of such an id.
    """
    named = re.fullmatch(r"(catalogue|rates):([0-9]{1,18})|account:(\S{1,128}:[0-9]{1,9})", proposal_id, re.ASCII)
    if named is None:
        raise UnknownNameError(f"{proposal_id!r} is no proposal; `billing proposals` lists them")
    if named[3]:
        return "bank_account", named[3]
    return ("catalogue" if named[1] == "catalogue" else "contract"), named[2]
