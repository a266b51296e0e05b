"""Decide whether one event is invalid traffic: for reasons that no honest viewer gives, by this event alone.

Both layers call `invalid_reason` for an event that is neither rejected nor late. The reason is kept beside every such
event, and becomes its verdict only where it would be counted: a repeat stays a repeat, whatever it says of itself.
A reason without a word here is none: a network, a rate or a missing field is never one.
"""

import functools
from dataclasses import dataclass
from datetime import datetime

from ingestion.contract.agent_lists import ListsInForce, finder, lists_in_force, remover, shipped_lists
from ingestion.contract.event import ViewEvent
from ingestion.contract.traffic_reasons import RULE_REASONS, InvalidClass, TrafficReason

INVALID_SINCE_CONTRACT = 3
"""The version of the event contract that has this verdict first."""
READ_LENGTH_MAX = 384
"""The characters of a user agent that are read: more than any program has that says what it is."""
KEPT_AGENTS_MAX = 8_192
"""The answers for this number of user agents are kept, in at most 12 MiB, whatever senders write."""
AD_SECONDS_BEFORE_VIDEO_MAX = 600
"""Ten minutes of advertisements before the first second of a video: more than any player shows."""


class InvalidReason(TrafficReason):
    """Why an event by itself is invalid traffic."""

    DECLARED_ROBOT = (
        "declared_robot",
        InvalidClass.ROBOT,
        "The user agent names a robot or a script, and no player of a viewer",
    )
    DEVICE_CONTRADICTED = (
        "device_contradicted",
        InvalidClass.CONTRADICTION,
        "The user agent is that of another device than device_type names, and no player runs on both",
    )
    ADVERTISEMENTS_IMPOSSIBLE = (
        "advertisements_impossible",
        InvalidClass.IMPOSSIBLE,
        "The advertisements together lasted longer than anybody can have watched them in this view",
    )


CLASS_OF_CODE = {each.code: each.its_class for each in (*InvalidReason, *RULE_REASONS)}
"""Of general and of day reasons."""


_NOT_ROKU = frozenset({"mobile", "phone", "smartphone", "tablet", "desktop", "pc", "computer"})
_NOT_APPLE = frozenset({"android"})
_NOT_ANDROID = frozenset({"ios", "ipados", "iphone", "ipad", "ipod"})
"""Only pairs that no setting of a browser and no casting makes. A telephone that plays on a television is `tv`. A
television's browser may be `desktop` or `mobile` for a page that knows no other kinds, but a Roku runs only players
that were written for it. A browser may pretend to be a desktop's."""


@dataclass(frozen=True)
class _AgentFacts:
    is_robot: bool
    impossible_devices: frozenset[str]


def invalid_reason(event: ViewEvent, contract: int) -> InvalidReason | None:
    """Return why a well-formed event that is in time is invalid traffic; None for all others."""
    if contract < INVALID_SINCE_CONTRACT:
        return None
    if event.user_agent:
        facts = _agent_facts(event.user_agent, event.timestamp)
        if facts.is_robot:
            return InvalidReason.DECLARED_ROBOT
        if event.device_type is not None and event.device_type.lower() in facts.impossible_devices:
            return InvalidReason.DEVICE_CONTRADICTED
    if event.ad_views is not None and _is_impossible(event):
        return InvalidReason.ADVERTISEMENTS_IMPOSSIBLE
    return None


def load_lists() -> None:
    """Read and compile the lists that `invalid_reason` uses, so that a broken one is known before any event is judged.

    Raises:
        ListError: a list is not what the program was shipped with.
    """
    _readers()


def _is_impossible(event: ViewEvent) -> bool:
    """Return whether the advertisements cannot have been watched in the time of the view.

    The longest is left out, for one alone may last an hour. The others fit before the video or into its breaks, which
    together are shorter than the video even where banners beside an advertisement are counted as well.
    """
    seconds = {each.ad_id: each.watched_seconds or 0 for each in event.ad_views or ()}
    together = sum(seconds.values()) - max(seconds.values(), default=0)
    return together > AD_SECONDS_BEFORE_VIDEO_MAX + event.view_duration


class _AgentReader:
    """Reads user agents by the lists in force together."""

    def __init__(self, lists: ListsInForce) -> None:
        self.since = lists.since
        self._names_robot = finder(lists.robots)
        self._without_devices = remover(lists.devices)
        self.read = functools.lru_cache(KEPT_AGENTS_MAX)(self._read)

    def _read(self, agent: str) -> _AgentFacts:
        """Return what an agent says; each step takes time in proportion to its length."""
        text = agent.encode()
        is_robot = self._names_robot(text) and self._names_robot(self._without_devices(text))
        return _AgentFacts(is_robot, _impossible_devices(agent))


def _agent_facts(agent: str, happened_at: datetime) -> _AgentFacts:
    for reader in _readers():
        if reader.since <= happened_at:
            return reader.read(agent[:READ_LENGTH_MAX])
    return _AgentFacts(is_robot=False, impossible_devices=frozenset())


def _impossible_devices(agent: str) -> frozenset[str]:
    if agent.startswith("Roku/DVP"):
        return _NOT_ROKU
    # Windows Phone named all of them, so that pages made for the others would work
    is_apple, is_android = "iPhone" in agent or "iPad" in agent, "Android" in agent
    if is_apple == is_android or "Windows Phone" in agent:
        return frozenset()
    return _NOT_APPLE if is_apple else _NOT_ANDROID


@functools.cache
def _readers() -> tuple[_AgentReader, ...]:
    return tuple(_AgentReader(each) for each in lists_in_force(shipped_lists()))
