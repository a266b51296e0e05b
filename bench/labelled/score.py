"""How well outcomes fit labels: what honest people lose, what attackers keep."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from batch_layer.traffic.day_events import DayEvent
from bench.labelled.world import Label

MINIMUM_SECONDS, CAP, DAY_SECONDS = 30, 4, 86_400


@dataclass
class Score:
    """Events and paid events by family and outcome (`invalid`, `review` or none)."""

    events: dict[tuple[bool, str], Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    paid: dict[tuple[bool, str], Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    strengths: dict[tuple[str, str], Counter[str]] = field(default_factory=lambda: defaultdict(Counter))

    def add(self, events: Sequence[DayEvent], labels: Mapping[str, Label], outcomes: Mapping[str, str]) -> None:
        """Add a stream: `outcomes` by event id."""
        paying = paid_events(events, labels)
        for event in events:
            label, outcome = labels[event.event_id], outcomes.get(event.event_id, "none")
            family = (label.is_attack, label.family)
            self.events[family][outcome] += 1
            self.paid[family][outcome] += event.event_id in paying
            if label.is_attack:
                self.strengths[label.family, label.intensity][outcome] += 1

    def share(self, *, of_attacks: bool, outcomes: Iterable[str], paid: bool = False) -> float:
        """Return the share of all events of honest people or attackers that have one of the outcomes."""
        every = [
            each for (is_attack, _), each in (self.paid if paid else self.events).items() if is_attack == of_attacks
        ]
        return sum(each[name] for each in every for name in outcomes) / max(1, sum(each.total() for each in every))

    def by_family(self, *, of_attacks: bool, outcomes: Iterable[str]) -> dict[str, float]:
        """Return the same for each family."""
        names = tuple(outcomes)
        return {
            family: sum(each[name] for name in names) / each.total()
            for (is_attack, family), each in sorted(self.events.items())
            if is_attack == of_attacks
        }

    def lines(self) -> list[str]:
        """Return the figures for people."""
        found = []
        for name, outcome in (("invalid", "invalid"), ("under review", "review")):
            families = self.by_family(of_attacks=False, outcomes=[outcome])
            worst = max(families, key=lambda each: families[each])
            all_of_them = self.share(of_attacks=False, outcomes=[outcome])
            found.append(f"honest events {name}: all {all_of_them:.4%}, worst {families[worst]:.4%} ({worst})")
        alone = self.by_family(of_attacks=True, outcomes=["invalid"])
        both = self.by_family(of_attacks=True, outcomes=["invalid", "review"])
        mean, mean_both = (sum(each.values()) / max(1, len(each)) for each in (alone, both))
        found.append(f"recall, mean of {len(alone)} families: invalid {mean:.3f}, with review {mean_both:.3f}")
        kept = 1 - self.share(of_attacks=False, outcomes=["invalid"])
        automatic = (self.share(of_attacks=True, outcomes=["invalid"]) + kept) / 2
        decided = (self.share(of_attacks=True, outcomes=["invalid", "review"]) + kept) / 2
        found.append(f"balanced accuracy: automatic {automatic:.3f}, with reviews decided {decided:.3f}")
        attack_paid = self.share(of_attacks=True, outcomes=["none"], paid=True)
        withheld = self.share(of_attacks=False, outcomes=["invalid"], paid=True)
        found.append(f"money: paid to attacks after decisions {attack_paid:.2%}, withheld from honest {withheld:.4%}")
        for family in alone:
            parts = [f"{name} {self._found(family, name)}" for name in ("blatant", "medium", "stealth")]
            found.append(
                f"  {family:20} invalid {alone[family]:.3f}, with review {both[family]:.3f}; {', '.join(parts)}"
            )
        for (is_attack, family), each in sorted(self.events.items()):
            if not is_attack:
                shares = (each[name] / each.total() for name in ("invalid", "review"))
                found.append(
                    f"  {family:20} honest, {each.total():7}: " + "{:.4%} invalid, {:.4%} under review".format(*shares)
                )
        return found

    def _found(self, family: str, strength: str) -> str:
        each = self.strengths.get((family, strength), Counter())
        return "-" if not each else f"{each['invalid'] / each.total():.2f}+{each['review'] / each.total():.2f}"


def paid_events(events: Iterable[DayEvent], labels: Mapping[str, Label]) -> frozenset[str]:
    """Return the ids that would be paid without any rule for invalid traffic."""
    before: dict[tuple[str | None, str], list[float]] = defaultdict(list)
    found = set()
    for event in sorted(events, key=lambda each: each.order):
        least = MINIMUM_SECONDS if event.length_seconds is None else min(MINIMUM_SECONDS, event.length_seconds)
        if not labels[event.event_id].is_eligible or event.view_duration < least:
            continue
        at, mine = event.happened_at.timestamp(), before[event.user_id, event.video_id]
        if sum(each > at - DAY_SECONDS for each in mine) < CAP:
            mine.append(at)
            found.add(event.event_id)
    return frozenset(found)
