"""What the day rules of invalid traffic find in labelled traffic: what honest people lose, what attackers keep.

    PYTHONPATH=. .viewledger/venv/bin/python -P -m bench.bench_day_rules [--seeds 1,2,3] [--size 40000] [--families F]
    PYTHONPATH=. .viewledger/venv/bin/python -P -m bench.bench_day_rules --labelled FOLDER [FOLDER ...]

The plain model judges each day of made-up traffic; FAMILIES is held_out, tuned or both. A FOLDER holds a stream of
somebody else's families: `events.kafka.jsonl`, `labels.csv` and `videos.csv`. What the general rules find there is
invalid before the day rules look.
"""

import argparse
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from batch_layer.traffic.day_events import DayEvent
from batch_layer.traffic.day_rules import day_outcomes
from batch_layer.traffic.traffic_policy import POLICIES
from bench.labelled import held_out_families, tuned_families
from bench.labelled.files import days_of, read_events
from bench.labelled.score import Score
from bench.labelled.world import Family, World

FAMILIES: Mapping[str, tuple[Family, ...]] = {
    "held_out": (*held_out_families.HONEST, *held_out_families.ATTACKS),
    "tuned": (*tuned_families.HONEST, *tuned_families.ATTACKS),
}


def main() -> None:
    """Print the figures."""
    wanted = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    wanted.add_argument("--seeds", default="1,2,3")
    wanted.add_argument("--size", type=int, default=40_000, help="events of ordinary people")
    wanted.add_argument("--families", choices=[*FAMILIES, "both"], default="both")
    wanted.add_argument("--labelled", type=Path, nargs="+")
    asked = wanted.parse_args()
    score, started, events = Score(), time.process_time(), 0
    if asked.labelled:
        for folder in asked.labelled:
            rows = list(read_events(folder))
            general = {event.event_id: "invalid" for event, _, is_invalid in rows if is_invalid}
            every = [event for event, _, _ in rows]
            labels = {event.event_id: label for event, label, _ in rows}
            score.add(every, labels, general | judged([each for each in every if each.event_id not in general]))
            events += len(rows)
    else:
        families = FAMILIES.get(asked.families, tuple(each for group in FAMILIES.values() for each in group))
        for seed in asked.seeds.split(","):
            world = World(int(seed), size=asked.size)
            world.ordinary()
            for family in families:
                family(world)
            score.add(world.events, world.labels, judged(world.events))
            events += len(world.events)
    print(f"{events:,} events, {time.process_time() - started:.0f} s of CPU")
    print("\n".join(score.lines()))


def judged(events: Iterable[DayEvent]) -> dict[str, str]:
    """Return the outcome of each event that has one, by its id."""
    every = list(events)
    ids = {(each.partition, each.offset): each.event_id for each in every}
    return {
        ids[each.partition, each.offset]: each.outcome
        for day, rows in days_of(every)
        for each in day_outcomes(rows, day, POLICIES[0])
    }


if __name__ == "__main__":
    main()
