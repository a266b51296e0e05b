"""The keys by which a version's events were checked for an attestation, each in force from its offsets on. Pure.

Whether an event is attested must not change once it is judged: a rebuild years later has to give the same rows. So a
version keeps the ids of the keys and a fingerprint of each. A key that is added or revoked later is so for what comes
after. One that is revoked from an instant vouches for nothing from the place on that the log had reached then, and what
is stored beyond it is judged again. A key that is gone is refused instead of taken for one that never was.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from ingestion.contract.attestation import Attested, attestation_of, says_attested
from ingestion.contract.keyed_hash import fingerprint


class KeyGoneError(LookupError):
    """A key by which events were judged is not known any more, has another secret, or would be trusted again.

    The message is one sentence.
    """


class Revocation(NamedTuple):
    """From when on a key is not trusted, and the place of the log then: an offset for each partition."""

    instant: datetime
    since: tuple[int, ...]


@dataclass(frozen=True)
class AttestingKey:
    """A key without its secret, and the offsets from which on it vouches for messages, or does so no more."""

    key_id: str
    fingerprint: str
    since: tuple[int, ...] = ()
    """One offset for each partition; of a partition beyond them, it holds from the beginning."""
    vouches: bool = True
    """False: it was revoked."""
    revoked_from: datetime | None = None
    """The instant for which `since` stands, if the key was revoked from an instant."""

    def holds_at(self, partition: int, offset: int) -> bool:
        """Return whether this entry is about messages at a place."""
        return partition >= len(self.since) or offset >= self.since[partition]


@dataclass(frozen=True)
class AttestingKeys:
    """The keys of a version, in the order in which they came into force. Of a key's entries the last decides."""

    keys: tuple[AttestingKey, ...] = ()

    def followed_by(
        self,
        keys: Mapping[str, bytes],
        revoked: Mapping[str, bytes],
        counted: Sequence[int],
        revocations: Mapping[str, Revocation] | None = None,
    ) -> "AttestingKeys":
        """Return these keys, with those that are new or newly revoked from the offsets `counted` on.

        `revocations`: what `newly_revoked` names, by key id.

        Raises:
            KeyGoneError: names a key of these that is in neither, or that has another secret.
        """
        self.check({**keys, **revoked})
        from_instants, vouches = revocations or {}, {each.key_id: each.vouches for each in self.keys}
        added = [
            AttestingKey(name, fingerprint(key), tuple(counted)) for name, key in keys.items() if not vouches.get(name)
        ]
        ended = [
            AttestingKey(name, fingerprint(key), each.since, vouches=False, revoked_from=each.instant)
            if (each := from_instants.get(name))
            else AttestingKey(name, fingerprint(key), tuple(counted), vouches=False)
            for name, key in revoked.items()
            if name in from_instants or vouches.get(name)
        ]
        return AttestingKeys((*self.keys, *added, *ended))

    def newly_revoked(self, revoked_from: Mapping[str, datetime]) -> dict[str, datetime]:
        """Return the keys that vouch for messages here, and do not from these instants on.

        Raises:
            KeyGoneError: names a key that was revoked from an earlier instant.
        """
        return {name: instant for name, instant in revoked_from.items() if self._is_newly_revoked(name, instant)}

    def _is_newly_revoked(self, key_id: str, instant: datetime) -> bool:
        mine = [each for each in self.keys if each.key_id == key_id]
        since_trusted = [number for number, each in enumerate(mine) if each.vouches][-1:]
        if not since_trusted:
            return False
        known = [each.revoked_from for each in mine[since_trusted[0] :] if each.revoked_from is not None]
        if known and min(known) < instant:
            raise KeyGoneError(
                f"the attestation key {key_id} is not trusted from {min(known).isoformat()} on by published versions, "
                f"and revoked_from is {instant.isoformat()}; give the former instant, or an earlier one"
            )
        return not known or instant < min(known)

    def vouching_at(self, partition: int, offset: int) -> Mapping[str, bool]:
        """Return whether each key that was known at a place vouches for messages there, by id."""
        return {each.key_id: each.vouches for each in self.keys if each.holds_at(partition, offset)}

    def check(self, keys: Mapping[str, bytes]) -> None:
        """Raise KeyGoneError unless `keys` has each of these keys, with its secret."""
        for each in self.keys:
            if each.key_id not in keys:
                raise KeyGoneError(
                    f"the attestation key {each.key_id} is missing, and published events were judged by it; add it to "
                    "the file of VIEWLEDGER_ATTESTATION_KEYS_FILE again, behind the key that attests"
                )
            if fingerprint(keys[each.key_id]) != each.fingerprint:
                raise KeyGoneError(
                    f"the attestation key {each.key_id} has another secret than the one by which published events were "
                    "judged; bring its former secret back, and give the new secret a kid of its own"
                )

    @classmethod
    def from_json(cls, document: Sequence[Mapping[str, Any]]) -> "AttestingKeys":
        """Parse the output of `to_json`."""
        return cls(tuple(map(_from_json, document)))

    def to_json(self) -> list[dict[str, Any]]:
        """Return the keys as JSON: `[{"key_id": "k1", "fingerprint": "…", "since": [0, 0], "vouches": true}]`.

        `revoked_from` is there only where it is known: what was written before must stay as it is.
        """
        return [_to_json(each) for each in self.keys]


def _to_json(key: AttestingKey) -> dict[str, Any]:
    document = {**asdict(key), "since": list(key.since)}
    instant = document.pop("revoked_from")
    return document if instant is None else {**document, "revoked_from": instant.isoformat()}


def _from_json(document: Mapping[str, Any]) -> AttestingKey:
    instant = document.get("revoked_from")
    parsed = {"since": tuple(document["since"]), "revoked_from": instant and datetime.fromisoformat(instant)}
    return AttestingKey(**{**document, **parsed})


@dataclass(frozen=True)
class AttestationCheck:
    """Checks messages with the keys in force at their places."""

    in_force: AttestingKeys = AttestingKeys()
    secrets: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    """By key id."""

    def __post_init__(self) -> None:
        self.in_force.check(self.secrets)

    def is_attested(self, value: bytes, partition: int, offset: int) -> bool:
        """Return whether a key vouches for a message. Total: no message raises."""
        if not says_attested(value):
            return False
        vouching = self.in_force.vouching_at(partition, offset)
        keys = {name: self.secrets[name] for name, vouches in vouching.items() if vouches}
        return attestation_of(value, keys) is Attested.YES
