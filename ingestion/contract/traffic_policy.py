"""The thresholds of the rules of traffic, by version and first day. Nobody who is paid may know those in force.

All are whole numbers, so that a policy can be written, hashed and read back as it is. A ratio is how many times the
expected number was found, or the found one was expected. Policies are rows of the database (`billing.policies`), which
every reader reads.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date
from typing import Any

from ingestion.contract.allowed_traffic import AllowedTraffic, contradictions_of
from ingestion.contract.traffic_reasons import ORDER_OF_CODE

TRAFFIC = "traffic"
"""The kind of these policies among all."""
VALUE_MAX = 100_000

REVIEW_POINTS = 50
INVALID_POINTS = 100
STRONG_HINT_POINTS = 60
"""A person must look; with any evidence of another class it is enough."""
HINT_POINTS = 40
"""Nothing by itself."""


@dataclass(frozen=True)
class TrafficPolicy:
    """The values by which event days from `effective_from_on` (inclusive) on are judged.

    Names that end in `review` or `invalid` are a pair: from the first on a person must look, from the second on the
    reason alone is enough.
    """

    version: int
    effective_from_on: date
    demoted: frozenset[str] = frozenset()
    """Codes of reasons that have at most the points of a review: too many of their verdicts were overturned."""
    allowed: tuple[AllowedTraffic, ...] = ()
    """Senders who are known to be honest, in the order of their kind and name."""

    # one viewer
    at_once_review: int = 6
    at_once_invalid: int = 10
    at_once_times_review: int = 3
    at_once_times_invalid: int = 2
    """In how many different ten minutes that must happen: somebody opens ten pages at once now and then."""
    payee_at_once_review: int = 3
    payee_at_once_invalid: int = 5
    payee_at_once_times_review: int = 4
    payee_at_once_times_invalid: int = 3
    """The same for different videos of one payee: a family on one account seldom watches the same channel."""
    hours_review: int = 30
    hours_invalid: int = 48
    countries_review: int = 3
    countries_invalid: int = 5
    country_changes: int = 3
    """How many times a viewer must have changed country in less than an hour. Two countries are common: a telephone
    that roams, and a computer beside it."""
    networks_review: int = 10
    networks_invalid: int = 20
    network_changes: int = 9
    """The same for networks. A carrier gives a telephone another one for each sitting, rarely within one."""
    pauses_review: int = 8
    pauses_invalid: int = 12
    pause_seconds: int = 15
    """A television that needs some seconds to load has even pauses; nothing needs a quarter of a minute."""

    # viewers acting as one
    session_viewers_review: int = 3
    session_viewers_invalid: int = 5
    session_networks_review: int = 3
    session_networks_invalid: int = 4
    script_viewers: int = 3
    script_repeats_review: int = 3
    script_repeats_invalid: int = 6
    script_share: int = 20
    """A script is repeated only where at least one in this number of those who saw the same videos repeated it."""
    script_spread_seconds: int = 3_600
    """People who watch together over a call do the same at the same time."""
    lockstep_viewers_review: int = 6
    lockstep_viewers_invalid: int = 15
    lockstep_networks: int = 4
    lockstep_share: int = 60
    """Per cent of those who began the first video at that time: after a premiere many let the next video begin."""
    turn_viewers: int = 4
    turn_views: int = 16
    turn_overlap_share: int = 10
    turn_ratio: int = 20

    # crowds
    paid_seconds: int = 30
    witness_views_max: int = 20
    """How many views of one viewer and payee are taken as evidence of how a crowd behaves."""
    early_ratio_review: int = 5
    early_ratio_invalid: int = 8
    early_least_review: int = 10
    early_least_invalid: int = 14
    edges_ratio_review: int = 3
    edges_ratio_invalid: int = 4
    edges_least_review: int = 15
    edges_least_invalid: int = 20
    window_2_ratio_review: int = 6
    window_2_ratio_invalid: int = 12
    window_4_ratio_review: int = 5
    window_4_ratio_invalid: int = 10
    window_8_ratio_review: int = 4
    window_8_ratio_invalid: int = 8
    window_30_ratio_review: int = 4
    window_30_ratio_invalid: int = 7
    window_least_review: int = 14
    window_least_invalid: int = 20
    lonely_ratio_review: int = 10
    lonely_ratio_invalid: int = 25
    lonely_least_review: int = 30
    lonely_least_invalid: int = 60

    # a period
    period_days: int = 28
    """The rules of a period look at no fewer days, the last of which is the period's; 0: there are none."""
    even_days: int = 14
    """On how many days in a row a viewer must have been there."""
    even_views: int = 3
    """How many views a day that must be: one lesson or episode a day is what people do."""
    even_ratio_review: int = 6
    even_ratio_invalid: int = 12
    """By chance the variance of a number is its mean: this many times less is a program's."""
    ring_views: int = 40
    ring_days: int = 10
    ring_repeats: int = 3
    """How often each video was watched: payees who like one another's videos watch them once."""
    weeks_witness_views_max: int = 2
    """As `witness_views_max`, for all days together: what one person does for weeks is a habit."""
    weeks_viewer_views_max: int = 20
    """Who saw more of one payee than this does not belong to a crowd: these views are one habit."""


THRESHOLDS = tuple(each.name for each in fields(TrafficPolicy) if each.type is int and each.name != "version")
"""The names of all numbers of a policy."""
_PERIOD = ("period_days", "even_", "ring_", "weeks_")
OF_PERIODS = frozenset(name for name in THRESHOLDS if name.startswith(_PERIOD))
"""The numbers of the rules of a period: a policy has all of them or, like those of before, none."""
MAY_BE_ZERO = frozenset({"script_spread_seconds", "period_days"})
PER_CENT = frozenset({"lockstep_share", "turn_overlap_share"})
SHIPPED = TrafficPolicy(version=1, effective_from_on=date(1970, 1, 1))
"""The values of the first policy of an installation, and those that a first proposal leaves out."""


def bounds_of(threshold: str) -> tuple[int, int]:
    """Return the least and the largest value of a threshold."""
    return (0 if threshold in MAY_BE_ZERO else 1), (100 if threshold in PER_CENT else VALUE_MAX)


def traffic_policy(version: int, first_on: date, document: Mapping[str, Any]) -> TrafficPolicy:
    """Return the policy with the values of a document, as `traffic_document` writes it.

    Raises:
        ValueError: it has other values than this program knows, so a program of another release wrote it.
    """
    known = {"demoted", *THRESHOLDS}
    values = document.keys() - {"allowed"}
    if values not in (known, known - OF_PERIODS):
        names = ", ".join(sorted(values ^ known))
        raise ValueError(f"traffic policy {version} has other values than this program knows: {names}")
    numbers = {"period_days": 0} | {name: document[name] for name in THRESHOLDS if name in document}
    allowed = tuple(map(AllowedTraffic.from_json, document.get("allowed", ())))
    return TrafficPolicy(version, first_on, frozenset(document["demoted"]), allowed, **numbers)


def traffic_document(policy: TrafficPolicy) -> dict[str, Any]:
    """Return the values of a policy, without its version and first day, as its record has them.

    One that allows nothing is written as those of before, which could not.
    """
    names = [name for name in THRESHOLDS if policy.period_days or name not in OF_PERIODS]
    allowed = {"allowed": [each.to_json() for each in sorted(policy.allowed)]} if policy.allowed else {}
    return {"demoted": sorted(policy.demoted)} | allowed | {name: getattr(policy, name) for name in names}


def contradictions(policy: TrafficPolicy) -> list[str]:
    """Return a sentence for each value that no policy can have beside its others, or by itself."""
    found = []
    for name in THRESHOLDS:
        least, most = bounds_of(name)
        if not least <= getattr(policy, name) <= most:
            found.append(f"{name} is {getattr(policy, name)}; it must be {least} to {most}")
    # `_times_` counts how often it happened: fewer times are enough for what is worse
    for name in THRESHOLDS:
        review = name.removesuffix("_invalid") + "_review"
        if name.endswith("_invalid") and "_times_" not in name and getattr(policy, name) < getattr(policy, review):
            text = f"{name} is {getattr(policy, name)} and {review} {getattr(policy, review)}"
            found.append(f"{text}; what is invalid must be at least what is reviewed")
    if unknown := policy.demoted - ORDER_OF_CODE.keys():
        found.append(f"demoted names {', '.join(sorted(unknown))}; it must name codes of rules")
    return found + contradictions_of(policy.allowed)
