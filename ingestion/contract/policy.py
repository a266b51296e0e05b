"""The counting policy: which counted views are billable, by version and effective date.

A change of a value is a new version with a later first day, never an edit: counts name the version they used. Policies
are rows of the database (`billing.policies`), which every reader reads.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

COUNTING = "counting"
"""The kind of these policies among all."""


@dataclass(frozen=True)
class CountingPolicy:
    """The values that decide billability for event days from `effective_from_on` (inclusive) on."""

    version: int
    effective_from_on: date
    minimum_view_seconds: int
    """A shorter view is billable only if it is the whole video and the video's length is known."""
    billable_per_viewer_max: int
    """How many billable views of one video one viewer can cause within `viewer_window`."""
    viewer_window: timedelta
    asks_attestation: bool = False
    """Whether only attested views are billable; others are counted all the same."""


def counting_policy(version: int, first_on: date, document: Mapping[str, Any]) -> CountingPolicy:
    """Return the policy with the values of a document, as `document_of` writes it."""
    return CountingPolicy(
        version=version,
        effective_from_on=first_on,
        minimum_view_seconds=document["minimum_view_seconds"],
        billable_per_viewer_max=document["billable_per_viewer_max"],
        viewer_window=timedelta(hours=document["viewer_window_hours"]),
        asks_attestation=document["asks_attestation"],
    )


def document_of(policy: CountingPolicy) -> dict[str, Any]:
    """Return the values of a policy, without its version and first day, as its record has them."""
    return {
        "minimum_view_seconds": policy.minimum_view_seconds,
        "billable_per_viewer_max": policy.billable_per_viewer_max,
        "viewer_window_hours": policy.viewer_window // timedelta(hours=1),
        "asks_attestation": policy.asks_attestation,
    }


def policy_on(day: date, policies: tuple[CountingPolicy, ...]) -> CountingPolicy:
    """Return the policy in force on an event day (UTC).

    Raises:
        LookupError: no policy is in force that early.
    """
    for policy in sorted(policies, key=lambda each: each.effective_from_on, reverse=True):
        if policy.effective_from_on <= day:
            return policy
    raise LookupError(f"no counting policy is in force on {day.isoformat()}")
