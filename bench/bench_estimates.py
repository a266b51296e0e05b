"""How often the truth lies within the estimate of today, and how wide the estimate is, on labelled traffic.

    python -m bench.bench_estimates [--seeds 1-20] [--size 40000] [--days 34]

Each seed is a platform of its own with ordinary people and all families, honest ones and attacks (`bench/labelled`).
Its last three days are each *today* at four hours; the days before are checked by the plain model of the day rules.
An event is received when its view is over, one of twenty up to six hours later; settled is what was received half an
hour, or three hours, before. The truth of an hour: the views that began today and were received by then, and are
billable after the rules of all days (a review withholds). A case is one payee at one hour, if anything was received.
"""

import argparse
import random
import statistics
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import NamedTuple

from batch_layer.traffic.day_events import DayEvent
from bench.bench_day_rules import FAMILIES, judged, plain_rules
from bench.labelled.score import paid_events
from bench.labelled.world import World
from serving_layer.money.todays_estimate import (
    CHECKED_DAYS_LEAST,
    CHECKED_DAYS_MOST,
    CheckedDay,
    billable_bounds,
)

HOURS = (6, 12, 18, 23.5)
SETTLED_HOURS_AGO = (0.5, 3)
TODAYS = 3
HOUR_SECONDS = 3_600


class Case(NamedTuple):
    """One payee at one instant."""

    seed: int
    is_attacked: bool
    """Whether an attack on the payee, or for it, began today."""
    checked_days: int
    at_least: int
    at_most: int
    truth: int

    @property
    def is_inside(self) -> bool:
        """Return whether the truth lies within the bounds."""
        return self.at_least <= self.truth <= self.at_most

    @property
    def width(self) -> float:
        """Return the width as a share of the truth."""
        return (self.at_most - self.at_least) / max(1, self.truth)


@dataclass
class Platform:
    """A platform whose days are all over: what is known of each event at the end."""

    world: World
    received_at: dict[str, float] = field(default_factory=dict)
    """Event → seconds since 1970."""
    outcomes: dict[str, str] = field(default_factory=dict)
    billable: frozenset[str] = frozenset()

    @classmethod
    def of(cls, seed: int, size: int, days: int) -> "Platform":
        """Return the platform of a seed."""
        world = World(seed, size=size, days=days)
        world.ordinary()
        for family in (*FAMILIES["held_out"], *FAMILIES["tuned"]):
            family(world)
        found, rng = cls(world), random.Random(f"{seed} received")
        for event in world.events:
            late = rng.random() * 6 * HOUR_SECONDS if rng.random() < 0.05 else rng.random() * 60
            found.received_at[event.event_id] = event.happened_at.timestamp() + event.view_duration + late
        found.outcomes = judged(world.events, plain_rules)
        views = [each for each in world.events if found.outcomes.get(each.event_id) != "invalid"]
        paying = paid_events(views, world.labels)
        found.billable = frozenset(each for each in paying if found.outcomes.get(each) != "review")
        return found

    def checked(self, payee_id: str, before: date) -> list[CheckedDay]:
        """Return the payee's days that are checked on a day: those that are over for a whole day."""
        last = before - timedelta(days=CHECKED_DAYS_MOST + 1)
        return [each for day, each in self._days[payee_id].items() if last <= day < before - timedelta(days=1)]

    def index(self) -> None:
        """Add up the days of each payee."""
        self._days: defaultdict[str, dict[date, CheckedDay]] = defaultdict(dict)
        sums: defaultdict[tuple[str, date], list[int]] = defaultdict(lambda: [0, 0, 0])
        for event in self.world.events:
            found = sums[str(event.payee_id), event.event_day]
            is_invalid = self.outcomes.get(event.event_id) == "invalid"
            found[2 if is_invalid else 0] += 1
            found[1] += event.event_id in self.billable
        for (payee_id, day), (views, billable, invalid) in sums.items():
            self._days[payee_id][day] = CheckedDay(views, billable, invalid)


def cases(seed: int, platform: Platform) -> Iterator[Case]:
    """Yield the cases of a platform."""
    platform.index()
    world = platform.world
    for today in (world.last_day - timedelta(days=back) for back in range(TODAYS)):
        begin = world.begin.timestamp() + (today - world.begin.date()).days * 24 * HOUR_SECONDS
        near = [each for each in world.events if timedelta(0) <= today - each.event_day <= timedelta(1)]
        attacked = {each.payee_id for each in near if each.event_day == today and world.labels[each.event_id].is_attack}
        for now in (begin + hour * HOUR_SECONDS for hour in HOURS):
            for settled_until in (now - hours * HOUR_SECONDS for hours in SETTLED_HOURS_AGO):
                yield from _at(seed, platform, near, attacked, today=today, now=now, settled_until=settled_until)


def _at(
    seed: int,
    platform: Platform,
    near: Sequence[DayEvent],
    attacked: set[str | None],
    *,
    today: date,
    now: float,
    settled_until: float,
) -> Iterator[Case]:
    settled = [each for each in near if platform.received_at[each.event_id] <= settled_until]
    paying = paid_events(settled, platform.world.labels)
    views, billable, live, truth = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
    for event in near:
        payee_id, received_at = str(event.payee_id), platform.received_at[event.event_id]
        if received_at > now:
            continue
        if received_at > settled_until:
            live[payee_id] += 1
        elif event.event_day == today:
            views[payee_id] += 1
            billable[payee_id] += event.event_id in paying
        truth[payee_id] += event.event_day == today and event.event_id in platform.billable
    for payee_id in sorted({*views, *live}):
        past = platform.checked(payee_id, today)
        bounds = billable_bounds(views[payee_id], billable[payee_id], live[payee_id], past)
        assert bounds.at_most is not None  # the live views are known
        yield Case(seed, payee_id in attacked, len(past), bounds.at_least, bounds.at_most, truth[payee_id])


def main() -> None:
    """Print coverage and width."""
    wanted = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    wanted.add_argument("--seeds", default="1-20")
    wanted.add_argument("--size", type=int, default=40_000, help="events of ordinary people")
    wanted.add_argument("--days", type=int, default=34)
    asked = wanted.parse_args()
    first, last = (int(each) for each in asked.seeds.split("-"))
    found, started = list[Case](), time.process_time()
    for seed in range(first, last + 1):
        of_seed = list(cases(seed, Platform.of(seed, asked.size, asked.days)))
        found += of_seed
        print(f"seed {seed}: {line(of_seed)}", flush=True)
    print(f"{time.process_time() - started:.0f} s of CPU")
    print(f"all: {line(found)}")
    for name, chosen in (
        ("no attack today", [each for each in found if not each.is_attacked]),
        ("attack today", [each for each in found if each.is_attacked]),
        ("truth of 10 and more", [each for each in found if each.truth >= 10]),
        ("truth of 100 and more", [each for each in found if each.truth >= 100]),
        ("enough checked days", [each for each in found if each.checked_days >= CHECKED_DAYS_LEAST]),
    ):
        print(f"{name}: {line(chosen)}")


def line(chosen: Sequence[Case]) -> str:
    """Return coverage and width in a line."""
    if not chosen:
        return "no cases"
    below, above = sum(each.truth < each.at_least for each in chosen), sum(each.truth > each.at_most for each in chosen)
    inside = len(chosen) - below - above
    known = [each for each in chosen if each.truth]
    widths = sorted(each.width for each in known) or [0.0]
    most = widths[9 * (len(widths) - 1) // 10]
    total = sum(each.at_most - each.at_least for each in chosen) / max(1, sum(each.truth for each in chosen))
    return (
        f"{inside / len(chosen):.3%} of {len(chosen):,} cases inside ({below} below, {above} above); width / truth "
        f"median {statistics.median(widths):.2f}, nine of ten up to {most:.2f}, all together {total:.2f}; "
        f"at least is {sum(each.at_least for each in chosen) / max(1, sum(each.truth for each in chosen)):.2f} of it"
    )


if __name__ == "__main__":
    main()
