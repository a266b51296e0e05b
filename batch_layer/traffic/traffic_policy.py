"""The thresholds of the day rules, by version and first day. Nobody who is paid may know those in force.

All are whole numbers, so that a policy can be written, hashed and read back as it is. A ratio is how many times the
expected number was found, or the found one was expected.
"""

from dataclasses import dataclass
from datetime import date

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


POLICIES: tuple[TrafficPolicy, ...] = (TrafficPolicy(version=1, effective_from_on=date(1970, 1, 1)),)
