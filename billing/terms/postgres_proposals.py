"""Imports that wait for a second person, and the step by which that person decides."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from billing.errors import UnknownNameError
from billing.postgres_session import Connect, one_transaction
from billing.terms.catalogue import Catalogue, Payee, Video
from billing.terms.differences import catalogue_differences, contract_differences, policy_differences
from billing.terms.ownership import OwnerShare
from billing.terms.postgres_catalogue import PostgresCatalogueStore
from billing.terms.postgres_policies import PostgresPolicies

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as Cursor

KINDS = {"catalogue": "catalogue", "contract": "rates", "bank_account": "account", "policy": "policy"}
"""Kind of subject in the database → its name for people, as in `rates:3`."""
_PROPOSALS = """
    SELECT subject_kind, subject_id, actor, login, reason, moved_at, payee_id, holder_name, account, holder_before,
           account_before, address, address_before, is_address_new
    FROM billing.proposals ORDER BY moved_at, subject_kind, subject_id"""
_VIDEOS_OF = "SELECT video_id, length_seconds, title FROM billing.videos WHERE catalogue_version ="
_OWNERS_OF = "SELECT video_id, from_on, to_on, payee_id, share_ppm FROM billing.owners WHERE catalogue_version ="
_PAYEES_OF = "SELECT payee_id, name, user_id, country FROM billing.payees WHERE catalogue_version ="

_WAS_IMPORTED = "SELECT 1 FROM billing.transitions WHERE subject_kind = %s AND subject_id = %s LIMIT 1"


def _both_ways(rows: str, column: str) -> str:
    before, after = (f"{rows} %({each})s" for each in ("before", "after"))
    return f"SELECT {column} FROM (({before} EXCEPT {after}) UNION ALL ({after} EXCEPT {before})) AS differing"


_DIFFERING_VIDEOS = f"""
    {_both_ways(_VIDEOS_OF, "video_id")} UNION {_both_ways(_OWNERS_OF, "video_id")} ORDER BY 1 LIMIT %(most)s"""
_DIFFERING_PAYEES = f"{_both_ways(_PAYEES_OF, 'payee_id')} GROUP BY 1 ORDER BY 1 LIMIT %(most)s"
_PAYEES = f"{_PAYEES_OF} %s AND payee_id = ANY(%s)"
_VIDEOS = f"{_VIDEOS_OF} %s AND video_id = ANY(%s)"
_OWNERS = f"{_OWNERS_OF} %s AND video_id = ANY(%s) ORDER BY video_id, from_on, payee_id"
DIFFERING_MAX = 10_000
"""The number of payees, and of videos, whose differences are read."""


@dataclass(frozen=True)
class Proposal:
    """An import that comes into force when another person approves it."""

    kind: str
    subject_id: str
    actor: str
    """The person who imported it."""
    login: str
    """The database login of the import."""
    source: str
    proposed_at: datetime
    payee_id: str | None = None
    holder_name: str | None = None
    account: str | None = None
    """The masked account: the country and the last four characters."""
    holder_before: str | None = None
    account_before: str | None = None
    address: str | None = None
    """The masked address for notices: the first character, and what follows it from the @ on."""
    address_before: str | None = None
    is_address_new: bool | None = None

    @property
    def proposal_id(self) -> str:
        """Return its name in commands."""
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
        """Return the proposal with an id.

        Raises:
            UnknownNameError: no such proposal waits.
        """
        found = next((each for each in self.waiting() if each.proposal_id == proposal_id), None)
        if found is None:
            raise UnknownNameError(f"nothing waits as {proposal_id!r}; `billing proposals list` lists what does")
        return found

    def imported(self, proposal_ids: Sequence[str]) -> list[tuple[str, str]]:
        """Return the kind and id in the database of each; all were imported, decided or not.

        Raises:
            UnknownNameError: one was never imported.
        """
        subjects = [subject_of(each) for each in proposal_ids]
        with one_transaction(self._connect) as cursor:
            for proposal_id, subject in zip(proposal_ids, subjects, strict=True):
                cursor.execute(_WAS_IMPORTED, subject)
                if cursor.fetchone() is None:
                    raise UnknownNameError(
                        f"{proposal_id!r} was never imported; `billing proposals list` lists what waits"
                    )
        return subjects

    def differences(self, proposal: Proposal) -> Iterator[str]:
        """Yield the changes in sentences, read from the rows themselves."""
        store = PostgresCatalogueStore(self._connect)
        if proposal.kind == "catalogue":
            yield from catalogue_differences(*self._differing(int(proposal.subject_id)))
        elif proposal.kind == "contract":
            in_force = store.newest_contracts()
            yield from contract_differences(in_force and in_force[1], store.contracts(int(proposal.subject_id)))
        elif proposal.kind == "policy":
            yield from policy_differences(PostgresPolicies(self._connect).all(), proposal.subject_id)
        else:
            now = f"{proposal.account} of {proposal.holder_name}"
            before_text = f"{proposal.account_before} of {proposal.holder_before}"
            was = f"was paid to {before_text}" if proposal.account_before else "had no account"
            yield f"payee {proposal.payee_id} {was} and would be paid to {now}"
            if proposal.is_address_new:
                was = f"went to {proposal.address_before}" if proposal.address_before else "went nowhere"
                yield f"notices to payee {proposal.payee_id} {was} and would go to {proposal.address or 'nobody'}"

    def _differing(self, version: int) -> tuple[Catalogue, Catalogue]:
        """Return only the rows that differ between the catalogue in force and a version: memory stays flat."""
        with one_transaction(self._connect) as cursor:
            cursor.execute("SELECT coalesce(max(catalogue_version), 0) FROM billing.catalogues_in_force")
            (before,) = cursor.fetchone() or (0,)
            versions = {"before": before, "after": version, "most": DIFFERING_MAX}
            cursor.execute(_DIFFERING_VIDEOS, versions)
            videos = [video_id for (video_id,) in cursor.fetchall()]
            cursor.execute(_DIFFERING_PAYEES, versions)
            payees = [payee_id for (payee_id,) in cursor.fetchall()]
            old, new = (_part(cursor, each, payees, videos) for each in (before, version))
        return old, new


def _part(cursor: "Cursor", version: int, payee_ids: list[str], video_ids: list[str]) -> Catalogue:
    cursor.execute(_PAYEES, (version, payee_ids))
    payees = tuple(Payee(*row) for row in cursor.fetchall())
    cursor.execute(_VIDEOS, (version, video_ids))
    videos = tuple(Video(*row) for row in cursor.fetchall())
    cursor.execute(_OWNERS, (version, video_ids))
    return Catalogue(payees, videos, tuple(OwnerShare(*row) for row in cursor.fetchall()))


def subject_of(proposal_id: str) -> tuple[str, str]:
    """Return the kind and id in the database of a proposal's name.

    Raises:
        UnknownNameError: it does not have the form of such an id.
    """
    named = re.fullmatch(
        r"(catalogue|rates):([0-9]{1,18})|account:(\S{1,128}:[0-9]{1,9})|policy:([a-z_]{1,32}:[0-9]{1,9})",
        proposal_id,
        re.ASCII,
    )
    if named is None:
        raise UnknownNameError(f"{proposal_id!r} is not a proposal; `billing proposals list` lists them")
    if named[3]:
        return "bank_account", named[3]
    if named[4]:
        return "policy", named[4]
    return ("catalogue" if named[1] == "catalogue" else "contract"), named[2]
