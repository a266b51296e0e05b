"""The traits of a view: where it came from and how it was played, by which views of one sender are recognised.

Evidence, never a verdict alone. A network and a user agent can name a person, so only keyed hashes of them are kept.
Their key changes with each quarter of the event's own day: from one quarter to the next nothing can be linked. Every
quarter's key comes from one secret, so that a rebuild gives the same rows years later. What is read here never changes
for the same message, for the same reason.
"""

import re
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from typing import NamedTuple

import msgspec

from ingestion.contract.event import ViewEvent
from ingestion.contract.keyed_hash import fingerprint, keyed_hash
from ingestion.contract.networks import network_of

KEY_BYTES_MIN = 32
READ_LENGTH_MAX = 384
"""The characters of a user agent that its class is read from."""
KEPT_AGENTS_MAX = 8_192
"""The answers for this number of user agents and networks are kept, in at most 20 MiB each."""
_HEX_DIGITS = 32
_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
_LAST_ORDINAL = date.max.toordinal()
_HOST = re.compile(
    r"(?:[a-z][a-z0-9+.-]*:)?(?://)?(?:[^/?#@\s]*@)?([a-z0-9-]+(?:\.[a-z0-9-]+)+)(?=[:/?#]|$)", re.ASCII | re.IGNORECASE
)
"""The host of a URL with or without its scheme."""
_is_kind = re.compile(r"[a-z_]{1,32}/[0-9]{1,9}", re.ASCII).fullmatch

PROGRAMS = (
    ("Roku/", "roku"),
    ("AppleCoreMedia", "apple_core_media"),
    ("VLC/", "vlc"),
    ("ExoPlayer", "exoplayer"),
    ("AndroidXMedia3", "exoplayer"),
    ("okhttp", "okhttp"),
    ("CFNetwork", "apple_app"),
    ("Dalvik", "android_app"),
    ("Edg", "edge"),
    ("OPR/", "opera"),
    ("SamsungBrowser", "samsung_browser"),
    ("Firefox/", "firefox"),
    ("FxiOS", "firefox"),
    ("CriOS", "chrome"),
    ("Chrome/", "chrome"),
    ("Safari/", "safari"),
)
"""What a user agent contains → its program. The first one found decides: many browsers name others after their own."""
SYSTEMS = (
    ("Roku/", "roku"),
    ("Tizen", "tizen"),
    ("Web0S", "webos"),
    ("Apple TV", "tvos"),
    ("AppleTV", "tvos"),
    ("CrKey", "chromecast"),
    ("CrOS", "chromeos"),
    ("Windows", "windows"),
    ("iPhone", "ios"),
    ("iPad", "ios"),
    ("iPod", "ios"),
    ("Android", "android"),
    ("Macintosh", "macos"),
    ("Mac OS X", "macos"),
    ("Darwin", "darwin"),
    ("Linux", "linux"),
)
"""The same for its operating system or device."""
OTHER = "other"


@dataclass(frozen=True)
class TraitsKey:
    """The secret that every quarter's key comes from."""

    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.secret) < KEY_BYTES_MIN:
            raise ValueError(f"the key of traits has {len(self.secret)} bytes; give at least {KEY_BYTES_MIN}")

    @property
    def fingerprint(self) -> str:
        """Return 16 hex digits by which the secret is recognised, and which do not help to find it."""
        return fingerprint(self.secret)


class Traits(NamedTuple):
    """The traits of one view, as the table of viewers has them; None for what the event does not say."""

    network: str | None
    """A keyed hash of the /24 or /48 of its client."""
    network_kind: str | None
    agent: str | None
    """A keyed hash of its user agent."""
    agent_class: str | None
    referrer_host: str | None
    quality: str | None
    ad_seconds: int


def traits_of(event: ViewEvent, value: bytes, day: int, key: TraitsKey) -> Traits:
    """Return the traits of a well-formed event. Total: no event raises.

    `value` is the message, `day` the UTC day on which the view began, in days since 1970.
    """
    network = network_of(event.client_network) if event.client_network else None
    quarter = _quarter_of(day)
    return Traits(
        None if network is None else _hashed(key.secret, quarter, "network", network),
        _network_kind(value),
        _hashed(key.secret, quarter, "agent", event.user_agent) if event.user_agent else None,
        agent_class(event.user_agent) if event.user_agent else None,
        referrer_host(event.referrer) if event.referrer else None,
        event.quality,
        sum(each.watched_seconds or 0 for each in event.ad_views or ()),
    )


def have_one_key(day: date, other: date) -> bool:
    """Return whether networks and agents of two event days are hashed by one key, so that equal ones are equal."""
    return _quarter_of(day.toordinal() - _EPOCH_ORDINAL) == _quarter_of(other.toordinal() - _EPOCH_ORDINAL)


def hashes_of(key: TraitsKey, trait: str, text: str, first_on: date, end_on: date) -> frozenset[str]:
    """Return what a `network` or `agent` is hashed to on the days [first_on, end_on): a value for each quarter."""
    first, last = (day.toordinal() - _EPOCH_ORDINAL for day in (first_on, max(first_on, end_on)))
    # no quarter has as few days
    return frozenset(_hashed(key.secret, _quarter_of(day), trait, text) for day in (*range(first, last, 80), last - 1))


def agent_class(agent: str) -> str:
    """Return the coarse family of a user agent, `program/system`; `other` for either that is not known."""
    return _agent_class(agent[:READ_LENGTH_MAX])


def referrer_host(referrer: str) -> str | None:
    """Return only the host of the page that a viewer came from: full page addresses may identify people."""
    found = _HOST.match(referrer)
    return None if found is None else found[1].lower()


class _WithKind(msgspec.Struct):
    network_kind: object = None


_decode_kind = msgspec.json.Decoder(_WithKind).decode


def _network_kind(value: bytes) -> str | None:
    """Return what the collector wrote. The event contract has no such field, so a sender may write anything."""
    if b'"network_kind"' not in value:
        return None
    try:
        kind = _decode_kind(value).network_kind
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return kind if isinstance(kind, str) and _is_kind(kind) else None


@lru_cache(KEPT_AGENTS_MAX)
def _agent_class(agent: str) -> str:
    return f"{_first(PROGRAMS, agent)}/{_first(SYSTEMS, agent)}"


def _first(known: tuple[tuple[str, str], ...], agent: str) -> str:
    return next((name for part, name in known if part in agent), OTHER)


@lru_cache(KEPT_AGENTS_MAX)
def _quarter_of(day: int) -> str:
    # the oldest event contract lets a view begin outside the calendar, by some hours
    on = date.fromordinal(min(max(day + _EPOCH_ORDINAL, 1), _LAST_ORDINAL))
    return f"{on.year:04d}-{(on.month + 2) // 3}"


@lru_cache(KEPT_AGENTS_MAX)
def _hashed(secret: bytes, quarter: str, purpose: str, text: str) -> str:
    return _digits(_key_of(secret, quarter, purpose), text.encode("utf-8", "surrogatepass"))


@lru_cache(1_024)
def _key_of(secret: bytes, quarter: str, purpose: str) -> bytes:
    return keyed_hash(secret, f"{purpose} {quarter}".encode())


def _digits(key: bytes, text: bytes) -> str:
    return keyed_hash(key, text).hex()[:_HEX_DIGITS]
