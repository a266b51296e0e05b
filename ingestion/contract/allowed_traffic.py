"""Allow-lists of a policy of traffic: senders known to be honest, whom some rules leave alone for a while. Pure.

A school behind one network does together what viewers who act as one do. Nothing in its views can show the difference,
so two people say it, before the days that it is about. What no viewer can do stays invalid, from anybody.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any

from ingestion.contract.networks import network_of
from ingestion.contract.traffic_reasons import RULE_REASONS, InvalidClass, PeriodReason

ENTRIES_MAX = 200
DAYS_MAX = 90
"""The database refuses an entry that would hold for longer from the first day of its policy on."""
NAME_LENGTH_MAX = 2_048
WHY_LENGTH_MAX = 500
_OF_CROWDS = (InvalidClass.COORDINATED, InvalidClass.UNNATURAL, InvalidClass.ORIGIN)
ALLOWABLE = tuple(
    each.code for each in RULE_REASONS if each.its_class in _OF_CROWDS and each is not PeriodReason.PAYEES_IN_A_RING
)
"""The reasons that an entry can exempt from: what many honest viewers of one place can have in common.

Never what one viewer cannot have done, nor what a program does. Nor that payees watch one another: no place explains
it. Nor a reason of one event alone, which has no false positives.
"""
_is_plain = re.compile(r"[!-~]([ -~]*[!-~])?").fullmatch
"""Texts of a record are hashed as programs write them, and of these characters all programs write one form."""
_is_network = re.compile(r".*(\.0/24|::/48)").fullmatch


class AllowedKind(StrEnum):
    """What an entry names."""

    NETWORK = "network"
    """A /24 or /48, as the log has it."""
    AGENT = "agent"
    """A whole user agent."""
    PAYEE = "payee"
    """The views of all videos of which a payee owns the largest share."""


@dataclass(frozen=True, order=True)
class AllowedTraffic:
    """An entry: whom it is about, until when, and the reasons that its views are exempt from."""

    kind: AllowedKind
    name: str
    until: date
    """The first event day for which it does not hold any more."""
    reasons: tuple[str, ...]
    """Codes of `ALLOWABLE`, ascending."""
    because: str
    """What the two people know."""

    @classmethod
    def from_json(cls, document: Sequence[Any]) -> "AllowedTraffic":
        """Return what `to_json` wrote."""
        kind, name, until, reasons, because = document
        return cls(AllowedKind(kind), name, date.fromisoformat(until), tuple(reasons), because)

    def to_json(self) -> list[Any]:
        """Return the form of a record: a list, since members of an object have no one order."""
        return [self.kind.value, self.name, self.until.isoformat(), list(self.reasons), self.because]

    def __str__(self) -> str:
        """Return the entry in words; follows the name of a policy."""
        reasons = " and ".join(self.reasons)
        return f"allows the {self.kind} {self.name} before {self.until}, whatever {reasons} say: {self.because}"


@dataclass(frozen=True)
class AllowedInForce:
    """An entry of the allow-list of a policy of traffic that two people signed."""

    policy_version: int
    entry: AllowedTraffic
    first_on: date
    """The first event day that it holds for: that of its policy."""
    end_on: date
    """The first one that it does not hold for any more: it has ended, or the next policy rules."""
    proposed_by: str
    approved_by: str

    def holds_on(self, day: date) -> bool:
        """Return whether the views of an event day are judged by it."""
        return self.first_on <= day < self.end_on


def allowed_sentences(document: Iterable[Sequence[Any]]) -> list[str]:
    """Return a sentence for each entry of a record; follows the name of a policy."""
    return [str(AllowedTraffic.from_json(each)) for each in document]


def contradictions_of(entries: Iterable[AllowedTraffic]) -> list[str]:
    """Return a sentence for each entry that no policy can have beside its others, or by itself."""
    found = []
    named = Counter((each.kind, each.name) for each in entries)
    for (kind, name), count in named.items():
        shown = f"allowed names the {kind} {name[:64]!a}"
        if count > 1:
            found.append(f"{shown} {count} times; give one entry with all of its reasons")
        if not _is_plain(name) or len(name) > NAME_LENGTH_MAX:
            found.append(f"{shown}; it must be 1 to {NAME_LENGTH_MAX} printable characters of ASCII")
        elif kind is AllowedKind.NETWORK and not (_is_network(name) and network_of(name) == name):
            found.append(f"{shown}; it must be a /24 or /48 as the log has them, such as 192.0.2.0/24")
    if len(named) > ENTRIES_MAX:
        found.append(f"allowed has {len(named)} entries; it must have at most {ENTRIES_MAX}")
    for each in entries:
        shown = f"allowed names the {each.kind} {each.name[:64]!a}"
        if not each.reasons or set(each.reasons) - set(ALLOWABLE) or list(each.reasons) != sorted(set(each.reasons)):
            wrong = ", ".join(sorted(set(each.reasons) - set(ALLOWABLE))) or "none, or one twice"
            found.append(f"{shown} for {wrong}; its reasons must be some of {', '.join(sorted(ALLOWABLE))}")
        if not _is_plain(each.because) or len(each.because) > WHY_LENGTH_MAX:
            found.append(
                f"{shown} because of {each.because[:64]!a}; say it in 1 to {WHY_LENGTH_MAX} characters of ASCII"
            )
    return found
