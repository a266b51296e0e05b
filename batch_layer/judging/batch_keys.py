"""The keys of the settings, and what messages are read by. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

from batch_layer.errors import RefusedError
from ingestion.contract.attesting_keys import AttestationCheck, AttestingKeys, KeyGoneError, Revocation
from ingestion.contract.event_contracts import EventContracts
from ingestion.contract.policy import CountingPolicy
from ingestion.contract.traits import TraitsKey
from ingestion.contract.version import PublishedVersion


@dataclass(frozen=True)
class Reading:
    """What messages are read by, besides themselves."""

    contracts: EventContracts
    traits_key: TraitsKey
    attestation: AttestationCheck


@dataclass(frozen=True)
class BatchKeys:
    """The secrets of the settings; a version names those it was judged by."""

    traits: TraitsKey
    attestation: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    """By key id, in the order of the settings."""
    revoked: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    """Keys of before that vouch for nothing new."""
    revoked_from: Mapping[str, datetime] = field(default_factory=dict)
    """For those that were not to be trusted before they were revoked, since when."""

    def newly_revoked(self, base: PublishedVersion | None) -> dict[str, datetime]:
        """Return the keys by which events of `base` were judged from instants on from which they are not trusted.

        Raises:
            RefusedError: names a key that was revoked from an earlier instant.
        """
        try:
            return _keys_of(base).newly_revoked(self.revoked_from)
        except KeyGoneError as error:
            raise RefusedError(str(error)) from error

    def attesting_after(
        self, base: PublishedVersion | None, place_at: Callable[[datetime], tuple[int, ...]]
    ) -> AttestingKeys:
        """Return the keys that vouch for the events of the version after `base`: a new one for new events alone.

        `place_at`: an instant → the offsets of `base` from which on messages were appended then or later.

        Raises:
            RefusedError: names a key of the base that is not set any more.
        """
        revocations = {
            name: Revocation(instant, place_at(instant)) for name, instant in self.newly_revoked(base).items()
        }
        counted = base.offsets.ends if base else ()
        try:
            return _keys_of(base).followed_by(self.attestation, self.revoked, counted, revocations)
        except KeyGoneError as error:
            raise RefusedError(str(error)) from error

    def attesting_of(self, version: PublishedVersion) -> AttestingKeys:
        """Return the keys by which a version is counted again: its own, or all if it was never judged by any."""
        if version.attesting_keys is None:
            return AttestingKeys().followed_by(self.attestation, self.revoked, ())
        return version.attesting_keys

    def reading(self, contracts: EventContracts, attesting_keys: AttestingKeys) -> Reading:
        """Return what messages are read by.

        Raises:
            RefusedError: names a key that is not set any more.
        """
        try:
            return Reading(
                contracts, self.traits, AttestationCheck(attesting_keys, {**self.attestation, **self.revoked})
            )
        except KeyGoneError as error:
            raise RefusedError(str(error)) from error

    def refuse_none(self, policies: Mapping[date, CountingPolicy]) -> None:
        """Raise RefusedError if a policy asks for attestations and no key is set: nothing would be billable."""
        asking = [day for day, policy in policies.items() if policy.asks_attestation]
        if asking and not self.attestation:
            raise RefusedError(
                f"counting policy {policies[min(asking)].version} asks for attested events from {min(asking)} on, and "
                "VIEWLEDGER_ATTESTATION_KEYS_FILE is not set; set it as for the collector"
            )


def _keys_of(version: PublishedVersion | None) -> AttestingKeys:
    return AttestingKeys() if version is None or version.attesting_keys is None else version.attesting_keys
