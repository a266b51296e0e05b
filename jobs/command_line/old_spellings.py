"""The spellings of the last release: they work in this one with a note, and are removed in the next.

Each is a prefix of a command line. If a former command is a noun now, the former one is meant if no verb follows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

HELP = ("-h", "--help")


@dataclass(frozen=True)
class OldSpelling:
    """One prefix of a command line, and its present form."""

    old: str
    new: str
    having: str = ""
    """A flag without which it does not match."""
    flags: Mapping[str, str] = field(default_factory=dict)
    """Old flag → new flag; without a new flag only the flag's value is kept."""

    def is_meant_by(self, words: Sequence[str]) -> bool:
        """Return whether a command line has this prefix, and means the old command."""
        old = self.old.split()
        rest = words[len(old) :]
        if list(words[: len(old)]) != old or (self.having and not any(_is_flag(word, self.having) for word in rest)):
            return False
        return not self._is_noun_now or (not rest or (rest[0].startswith("-") and rest[0] not in HELP))

    def respelled(self, words: Sequence[str]) -> list[str]:
        """Return the command line in its present form."""
        found = self.new.split()
        for word in words[len(self.old.split()) :]:
            name, equals, value = word.partition("=")
            if name not in self.flags:
                found.append(word)
            elif self.flags[name]:
                found.append(f"{self.flags[name]}{equals}{value}")
            elif equals:
                found.append(value)
        return found

    @property
    def _is_noun_now(self) -> bool:
        return self.new.startswith(f"{self.old} ")


def _is_flag(word: str, flag: str) -> bool:
    return word.partition("=")[0] == flag


OLD_SPELLINGS = (
    OldSpelling("billing import", "billing catalogue import"),
    OldSpelling("billing proposals", "billing proposals list"),
    OldSpelling("billing proposal", "billing proposals show"),
    OldSpelling("billing proposal-approve", "billing proposals approve"),
    OldSpelling("billing proposal-refuse", "billing proposals refuse"),
    OldSpelling("billing limits", "billing limits set", having="--set", flags={"--set": ""}),
    OldSpelling("billing limits", "billing limits show"),
    OldSpelling("billing statements", "billing statements list"),
    OldSpelling("billing statement", "billing statements show"),
    OldSpelling("billing approve", "billing statements approve"),
    OldSpelling("billing void", "billing statements void"),
    OldSpelling("billing review", "billing statements review"),
    OldSpelling("billing notices", "billing notices list"),
    OldSpelling("billing show", "billing ledger totals"),
    OldSpelling("billing books", "billing ledger balances"),
    OldSpelling("billing late", "billing late list"),
    OldSpelling("billing late-decide", "billing late decide"),
    OldSpelling("billing conflicts", "billing conflicts list"),
    OldSpelling("billing conflict-decide", "billing conflicts decide"),
    OldSpelling("billing holds", "billing holds list"),
    OldSpelling("billing hold", "billing holds place"),
    OldSpelling("billing hold-decide", "billing holds decide"),
    OldSpelling("billing appeals", "billing appeals list"),
    OldSpelling("billing appeal", "billing appeals record"),
    OldSpelling("billing appeal-decide", "billing appeals decide"),
    OldSpelling("billing bank-accounts", "billing bank-accounts import"),
    OldSpelling("billing payouts", "billing payouts show", having="--batch"),
    OldSpelling("billing payouts", "billing payouts list"),
    OldSpelling("billing payout-create", "billing payouts create"),
    OldSpelling("billing payout-approve", "billing payouts approve"),
    OldSpelling("billing payout-void", "billing payouts void"),
    OldSpelling("billing payout-file", "billing payouts file"),
    OldSpelling("billing payout-import", "billing payouts import"),
    OldSpelling("billing payout-reconcile", "billing payouts reconcile"),
    OldSpelling("billing keys", "billing proof keys"),
    OldSpelling("billing checkpoint", "billing proof checkpoint"),
    OldSpelling("billing verify", "billing proof verify"),
    OldSpelling("billing export", "billing proof export"),
    OldSpelling("billing events", "billing events list"),
    OldSpelling("billing event", "billing events show"),
)
"""The first match counts."""


def respelled(words: Sequence[str]) -> tuple[list[str], OldSpelling | None]:
    """Return a command line in its present form, and the old spelling that it had."""
    for each in OLD_SPELLINGS:
        if each.is_meant_by(words):
            return each.respelled(words), each
    return list(words), None
