"""The keys by which a version's events were checked for an attestation, each in force from its offsets on. Pure.

Whether an event is attested must not change once it is judged: a rebuild years later has to give the same rows. So a
version keeps the ids of the keys and a fingerprint of each. A key that is added or revoked later is so for what comes
after. A key that is gone is refused instead of taken for one that never was.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from ingestion.contract.attestation import Attested, attestation_of, says_attested
from ingestion.contract.keyed_hash import fingerprint


class KeyGoneError(LookupError):
    """A key by which events were judged is not known any more, or has another secret; the message is one sentence."""


@dataclass(frozen=True)
class AttestingKey:
    """A key without its secret, and the offsets from which on it vouches for messages, or does so no more."""

    key_id: str
    fingerprint: str
    since: tuple[int, ...] = ()
    """One offset for each partition; of a partition beyond them, it holds from the beginning."""
    vouches: bool = True
    """False: it was revoked."""

    def holds_at(self, partition: int, offset: int) -> bool:
        """Return whether this entry is about messages at a place."""
        return partition >= len(self.since) or offset >= self.since[partition]


@dataclass(frozen=True)
class AttestingKeys:
    """The keys of a version, in the order in which they came into force. Of a key's entries the last decides."""

    keys: tuple[AttestingKey, ...] = ()

    def followed_by(
        self, keys: Mapping[str, bytes], revoked: Mapping[str, bytes], counted: Sequence[int]
    ) -> "AttestingKeys":
        """Return these keys, with those that are new or newly revoked from the offsets `counted` on.

        Raises:
            KeyGoneError: names a key of these that is in neither, or that has another secret.
        """
        self.check({**keys, **revoked})
        vouches = {each.key_id: each.vouches for each in self.keys}
        added = [(name, key, True) for name, key in keys.items() if not vouches.get(name)]
        ended = [(name, key, False) for name, key in revoked.items() if vouches.get(name)]
        new = (AttestingKey(name, fingerprint(key), tuple(counted), now) for name, key, now in (*added, *ended))
        return AttestingKeys((*self.keys, *new))

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
        return cls(tuple(AttestingKey(**{**each, "since": tuple(each["since"])}) for each in document))

    def to_json(self) -> list[dict[str, Any]]:
        """Return the keys as JSON: `[{"key_id": "k1", "fingerprint": "…", "since": [0, 0], "vouches": true}]`."""
        return [{**asdict(each), "since": list(each.since)} for each in self.keys]


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
