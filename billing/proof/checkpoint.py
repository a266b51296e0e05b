"""Checkpoints: signed statements of the books' content, each bound to the one before by its hash. Pure.

The chain consists of links. A `checkpoint` link covers the journal's records from `position_start` to `position_end`
(exclusive) by their Merkle root; the next one goes on where it ended. A `key_change` link, signed by the key in force,
names the key that signs from then on. docs/concepts/proof.md defines every byte.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from billing.proof.canonical import canonical_json

FORMAT = "viewledger-checkpoint/1"
NO_HASH = "0" * 64
"""The first link has this in place of the hash of the one before."""

_OF_NO_FORMAT = f"not a checkpoint of the format {FORMAT}"

Sign = Callable[[bytes], bytes]
IsSigned = Callable[[str, bytes, bytes], bool]
"""(public key in hex, message, signature) → whether the key made the signature."""


@dataclass(frozen=True)
class Link:
    """One link of the chain; `body` is signed, in canonical JSON."""

    body: bytes
    signature: str
    """128 hex digits."""

    @property
    def fields(self) -> dict[str, Any]:
        """Return the body as values."""
        fields: dict[str, Any] = json.loads(self.body)
        return fields

    @property
    def sequence(self) -> int:
        """Return 1 for the first link, then without gaps."""
        return int(self.fields["sequence"])

    @property
    def hash(self) -> str:
        """Return the SHA-256 of the body in hex, which the next link names."""
        return hashlib.sha256(self.body).hexdigest()

    @property
    def next_public_key(self) -> str:
        """Return the key that must sign the next link."""
        fields = self.fields
        return str(fields["next_public_key"] if fields["kind"] == "key_change" else fields["public_key"])

    def to_file(self) -> bytes:
        """Return the content of the link's file: one line of canonical JSON."""
        return canonical_json({"body": self.fields, "signature": self.signature}) + b"\n"

    @classmethod
    def from_file(cls, content: bytes) -> "Link":
        """Return the link of a file's content.

        Raises:
            ValueError: it is not a link.
        """
        try:
            document = json.loads(content)
            link = cls(canonical_json(document["body"]), str(document["signature"]))
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise ValueError(_OF_NO_FORMAT) from error
        link.refuse_unreadable()
        return link

    def refuse_unreadable(self) -> None:
        """Raise ValueError if a field that a reader needs is missing, or of another form."""
        try:
            fields = self.fields
            numbers = [fields["sequence"]]
            digests = [fields["previous_hash"], fields["public_key"], self.next_public_key]
            if fields["kind"] == "checkpoint":
                numbers += [fields[name] for name in ("position_start", "position_end", "record_count")]
                digests.append(fields["root"])
                date.fromisoformat(fields["day"])
            at = datetime.fromisoformat(fields["cut_at" if fields["kind"] == "checkpoint" else "made_at"])
            is_right = (
                fields["format"] == FORMAT
                and fields["kind"] in ("checkpoint", "key_change")
                and at.tzinfo is not None
                and all(type(each) is int and each >= 0 for each in numbers)
                and self.sequence >= 1
                and all(len(bytes.fromhex(each)) == 32 for each in digests)
                and len(bytes.fromhex(self.signature)) == 64
            )
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise ValueError(_OF_NO_FORMAT) from error
        if not is_right:
            raise ValueError(_OF_NO_FORMAT)


@dataclass(frozen=True)
class Covered:
    """The records that one checkpoint covers."""

    position_start: int
    position_end: int
    record_count: int
    root: str
    """Merkle root over the records' canonical JSON in order of their positions, 64 hex digits."""
    cut_at: datetime
    """Every record at or after `position_end` was recorded later."""


def checkpoint_link(before: Link | None, covered: Covered, *, day: date, public_key: str, sign: Sign) -> Link:
    """Return the link that covers the records since the one before."""
    own = {
        "kind": "checkpoint",
        "day": day.isoformat(),
        "position_start": covered.position_start,
        "position_end": covered.position_end,
        "record_count": covered.record_count,
        "root": covered.root,
        "cut_at": covered.cut_at.isoformat(),
    }
    return _link(before, own, public_key, sign)


def key_change_link(
    before: Link | None, *, made_at: datetime, next_public_key: str, public_key: str, sign: Sign
) -> Link:
    """Return the link, signed by the key in force, that puts another key in its place."""
    own = {"kind": "key_change", "made_at": made_at.isoformat(), "next_public_key": next_public_key}
    return _link(before, own, public_key, sign)


def covered_end(chain: Sequence[Link]) -> int:
    """Return the position at which the next checkpoint begins; 1 at the beginning of the chain."""
    ends = [int(link.fields["position_end"]) for link in chain if link.fields["kind"] == "checkpoint"]
    return ends[-1] if ends else 1


def last_day(chain: Sequence[Link]) -> date | None:
    """Return the day of the newest checkpoint."""
    days = [date.fromisoformat(link.fields["day"]) for link in chain if link.fields["kind"] == "checkpoint"]
    return days[-1] if days else None


def chain_problems(chain: Sequence[Link], is_signed: IsSigned) -> list[str]:
    """Return what is wrong with a chain that claims to be complete from its first link; nothing for an empty one."""
    problems = []
    before: Link | None = None
    position = 1
    for index, link in enumerate(chain, 1):
        fields = link.fields
        name = f"link {index}"
        if fields["sequence"] != index:
            problems.append(f"{name} says that it is link {fields['sequence']}: a link is missing or out of order")
        if fields["previous_hash"] != (before.hash if before else NO_HASH):
            problems.append(f"{name} does not follow the link before it: their hashes differ")
        if before is not None and fields["public_key"] != before.next_public_key:
            problems.append(f"{name} is signed by a key that is not in force")
        if not is_signed(fields["public_key"], link.body, bytes.fromhex(link.signature)):
            problems.append(f"{name} is not signed by its key: the link was changed")
        if fields["kind"] == "checkpoint":
            if fields["position_start"] != position:
                problems.append(f"{name} begins at position {fields['position_start']} and not at {position}")
            position = fields["position_end"]
        before = link
    return problems


def _link(before: Link | None, own: dict[str, Any], public_key: str, sign: Sign) -> Link:
    body = canonical_json(
        {
            "format": FORMAT,
            "sequence": before.sequence + 1 if before else 1,
            "previous_hash": before.hash if before else NO_HASH,
            "public_key": public_key,
            **own,
        }
    )
    return Link(body, sign(body).hex())
