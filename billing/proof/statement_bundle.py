"""The bundle of one statement: what its payee needs to check it, and nothing of anybody else. Pure.

docs/concepts/proof.md defines every field.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from billing.proof.canonical import canonical_json
from billing.proof.checkpoint import Link
from billing.proof.journal import Record
from billing.terms.contract_document import document_of
from billing.terms.contracts import Contract, Contracts

FORMAT = "viewledger-statement/1"


@dataclass(frozen=True)
class Inclusion:
    """A record's place under a checkpoint's root."""

    sequence: int
    """The checkpoint's link."""
    leaf_index: int
    """Counted from 0."""
    audit_path: tuple[str, ...]
    """In hex, lowest first."""


@dataclass(frozen=True)
class ProvenRecord:
    """A record of the journal; without an inclusion nothing signed covers it yet."""

    record: Record
    inclusion: Inclusion | None


@dataclass(frozen=True)
class OwnTerms:
    """The contract that a statement was rated by."""

    payee_id: str
    currency: str
    contract: Contract | None
    """None if none covers the payee: the statement then has no lines."""

    def document(self) -> dict[str, object]:
        """Return the contract in the form of a contract's document, without the other payees that it may name."""
        if self.contract is None:
            return {"currency": self.currency, "contracts": []}
        own = Contract("", (self.payee_id,), self.contract.cards)
        return document_of(Contracts(self.currency, (own,)))


def statement_bundle(
    statement_id: str, records: Sequence[ProvenRecord], chain: Sequence[Link], terms: OwnTerms, made_at: datetime
) -> bytes:
    """Return the bundle as one line of canonical JSON.

    A record and a link's body are text, byte for byte what was hashed or signed.
    """
    return canonical_json(
        {
            "format": FORMAT,
            "statement_id": statement_id,
            "made_at": made_at.isoformat(),
            "checkpoints": [{"body": link.body.decode(), "signature": link.signature} for link in chain],
            "records": [_record(each) for each in records],
            "terms": terms.document(),
        }
    )


def _record(proven: ProvenRecord) -> dict[str, object]:
    text: dict[str, object] = {"record": proven.record.content.decode()}
    if proven.inclusion is None:
        return text
    inclusion = proven.inclusion
    place = {"checkpoint": inclusion.sequence, "leaf_index": inclusion.leaf_index}
    return text | place | {"audit_path": list(inclusion.audit_path)}
