"""Make checkpoints of the books, change their key, and check the books against them. Knows only ports."""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from typing import Protocol

from billing.errors import CheckpointRefusedError
from billing.proof.checkpoint import (
    Covered,
    IsSigned,
    Link,
    chain_problems,
    checkpoint_link,
    covered_end,
    key_change_link,
    last_day,
)
from billing.proof.journal import Journal, Record, root_of
from billing.proof.leaves import Leaf
from ingestion.contract.merkle import nodes_of
from ingestion.contract.printable import counted


class Signer(Protocol):
    """A private key that can be used but not read."""

    @property
    def public_key(self) -> str:
        """Return the public key, 64 hex digits."""

    def sign(self, message: bytes) -> bytes:
        """Return the signature over a message."""


class Trees(Protocol):
    """Keeps the tree over each checkpoint's records, by which one of them is proven without the others."""

    def missing(self) -> Sequence[Link]:
        """Return the checkpoints that cover records and have no tree, oldest first."""

    def keep(self, link: Link, nodes: Iterable[tuple[int, bytes]]) -> None:
        """Store a checkpoint's nodes (level, hash), all of them or, after an error, none."""


def make_checkpoint(journal: Journal, key: Signer, *, day: date, today: date) -> tuple[Link, bool]:
    """Cover all records since the last checkpoint; return (link, whether it is new).

    A day has one checkpoint: a repeated call returns the newest unchanged.

    Raises:
        CheckpointRefusedError: the chain is past the day, the day has not begun, or another key is in force.
    """
    chain = journal.chain()
    newest = last_day(chain)
    if day > today:
        raise CheckpointRefusedError(f"the day {day} has not begun; give a day up to {today}")
    if newest == day:
        return newest_checkpoint(chain), False
    if newest is not None and day < newest:
        raise CheckpointRefusedError(f"the chain has a checkpoint of {newest} already; give a later day than that")
    _refuse_other_key(chain, key)
    position_end, cut_at = journal.close()
    start = covered_end(chain)
    count, root = root_of(journal.records(start, position_end))
    covered = Covered(start, position_end, count, root, cut_at)
    link = checkpoint_link(chain[-1] if chain else None, covered, day=day, public_key=key.public_key, sign=key.sign)
    journal.append(link)
    return link, True


def keep_trees(journal: Journal, trees: Trees) -> None:
    """Store the tree of every checkpoint that has none: of the newest, and of those of earlier releases.

    Raises:
        CheckpointRefusedError: the records of a checkpoint are not those that it signed.
    """
    for link in trees.missing():
        trees.keep(link, _signed_nodes(journal, link))


def _signed_nodes(journal: Journal, link: Link) -> Iterator[tuple[int, bytes]]:
    root = b""
    for level, root in nodes_of(bytes.fromhex(leaf.leaf_hash) for leaf in leaves_of(journal, link)):
        yield level, root
    if root.hex() != link.fields["root"]:
        day = link.fields["day"]
        raise CheckpointRefusedError(
            f"the records that the checkpoint of {day} covers are not those that it signed, so none of them can be "
            "proven; `billing proof verify` names what is wrong"
        )


def change_key(journal: Journal, key: Signer, next_public_key: str, *, made_at: datetime) -> Link:
    """Put another key in force, signed by the key in force until now.

    Raises:
        CheckpointRefusedError: the chain has not begun, or another key is in force.
    """
    chain = journal.chain()
    if not chain:
        raise CheckpointRefusedError("no checkpoint was made yet, so no key is in force; simply use the new key")
    _refuse_other_key(chain, key)
    if next_public_key == key.public_key:
        raise CheckpointRefusedError("the new key is the one in force")
    link = key_change_link(
        chain[-1], made_at=made_at, next_public_key=next_public_key, public_key=key.public_key, sign=key.sign
    )
    journal.append(link)
    return link


def newest_checkpoint(chain: Sequence[Link]) -> Link:
    """Return the newest link that covers records."""
    return next(link for link in reversed(chain) if link.fields["kind"] == "checkpoint")


def leaves_of(journal: Journal, link: Link) -> Iterator[Leaf]:
    """Yield the leaves of the records that a checkpoint covers, in order."""
    fields = link.fields
    for record in journal.records(fields["position_start"], fields["position_end"]):
        yield Leaf(record.position, record.kind, record.key, record.leaf_hash)


def problems_of_books(
    journal: Journal, is_signed: IsSigned, kept: Sequence[Link], kept_leaves: Iterable[tuple[Link, Iterable[Leaf]]]
) -> Iterator[str]:
    """Yield what is wrong with the books, compared with their own chain and with links kept elsewhere.

    `kept` are links in any order and may be empty; `kept_leaves` name the wrong record, which a root alone cannot.
    """
    chain = journal.chain()
    yield from chain_problems(chain, is_signed)
    by_sequence = {link.sequence: link for link in chain}
    for link in kept:
        if link.sequence not in by_sequence:
            yield f"link {link.sequence} was kept outside and is gone from the database"
        elif by_sequence[link.sequence].body != link.body:
            yield f"link {link.sequence} in the database is not the one that was kept outside"
    for link in [link for link in chain if link.fields["kind"] == "checkpoint"]:
        yield from _problems_of_checkpoint(journal, link)
    for link, leaves in kept_leaves:
        yield from _problems_of_leaves(journal, link, leaves)
    end, _ = journal.close()
    since = covered_end(chain)
    newest = newest_checkpoint(chain).fields if since > 1 else None
    for record in journal.records(since, end):
        if record.is_missing:
            yield f"{_named(record)} is in the journal and gone from its table"
        if newest is not None and record.recorded_at < datetime.fromisoformat(newest["cut_at"]):
            yield f"{_named(record)} claims to be older than the checkpoint of {newest['day']}, which does not cover it"
    for name in journal.unnoted():
        yield f"{name} is not in the journal: it was not written through the database's rules"


def _problems_of_checkpoint(journal: Journal, link: Link) -> Iterator[str]:
    fields = link.fields
    records = journal.records(fields["position_start"], fields["position_end"])
    missing: list[Record] = []
    count, root = root_of(_noting_missing(records, missing))
    yield from (f"{_named(record)} is in the journal and gone from its table" for record in missing)
    if count != fields["record_count"]:
        yield (
            f"the checkpoint of {fields['day']} covers {counted(fields['record_count'], 'record')} at positions "
            f"{fields['position_start']} to {fields['position_end'] - 1}, and {count} are there"
        )
    elif root != fields["root"]:
        yield (
            f"a record at positions {fields['position_start']} to {fields['position_end'] - 1} is not what the "
            f"checkpoint of {fields['day']} signed"
        )


def _problems_of_leaves(journal: Journal, link: Link, leaves: Iterable[Leaf]) -> Iterator[str]:
    for there, kept in itertools.zip_longest(leaves_of(journal, link), leaves):
        if there == kept:
            continue
        if kept is None or (there is not None and there.position < kept.position):
            yield f"{there.kind} {there.key} at position {there.position} was not there when the checkpoint was made"
        elif there is None or kept.position < there.position:
            yield f"{kept.kind} {kept.key} at position {kept.position} was removed"
        else:
            yield f"{kept.kind} {kept.key} at position {kept.position} was changed"
        return  # the rest is shifted; only the first difference matters


def _noting_missing(records: Iterable[Record], missing: list[Record]) -> Iterator[Record]:
    for record in records:
        if record.is_missing:
            missing.append(record)
        yield record


def _refuse_other_key(chain: Sequence[Link], key: Signer) -> None:
    if chain and chain[-1].next_public_key != key.public_key:
        raise CheckpointRefusedError(
            f"the key in force is {chain[-1].next_public_key[:16]}…, and this one is {key.public_key[:16]}…; "
            "`billing proof keys change` puts another in force"
        )


def _named(record: Record) -> str:
    return f"{record.kind} {record.key} at position {record.position}"
