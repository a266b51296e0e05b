"""The keys of the settings, and what messages are read by. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from batch_layer.errors import RefusedError
from ingestion.contract.attesting_keys import AttestationCheck, AttestingKeys, KeyGoneError
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

    def attesting_after(self, base: PublishedVersion | None) -> AttestingKeys:
        """Return the keys that vouch for the events of the version after `base`: a new one for new events alone.

        Raises:
            RefusedError: names a key of the base that is not set any more.
        """
        known = AttestingKeys() if base is None or base.attesting_keys is None else base.attesting_keys
        try:
            return known.followed_by(self.attestation, self.revoked, base.offsets.ends if base else ())
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
