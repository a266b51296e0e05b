"""What the day rules of invalid traffic find in labelled traffic: what honest people lose, what attackers keep.

    python -m bench.bench_day_rules [--seeds 1,2,3] [--size 40000] [--families F] [--spark] [--verdicts FILE]
    python -m bench.bench_day_rules --labelled FOLDER [FOLDER ...] [--spark] [--verdicts FILE]
    python -m bench.bench_day_rules --runs [--seeds 1] [--size 200000] [--labelled FOLDER]

The plain model (or Spark) judges each day of made-up traffic; FAMILIES is held_out, tuned, both, or weeks: 30 days of
families that show only over weeks. A FOLDER holds a stream of somebody else's families: `events.kafka.jsonl`,
`labels.csv` and `videos.csv`. What the general rules find there is invalid before the day rules look. The plain model
judges a stream of 28 days and more by the rules of a period, too, and a second score has both; a FOLDER's payees are
not known as viewers. FILE gets event_id and verdict, for another score. `--runs` measures whole batch runs on Spark,
without the day rules and with them: goal at most 2.5 times the seconds, good is 1.6.
"""

import argparse
import csv
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import NamedTuple

from batch_layer.lake.spark_kept import kept
from batch_layer.lake.spark_session import open_session
from batch_layer.lake.spark_settings import SparkSettings, folder_catalog
from batch_layer.traffic.day_events import DayEvent, DayOutcome
from batch_layer.traffic.day_rules import day_outcomes
from batch_layer.traffic.period_rules import PayeeViewer, period_outcomes
from batch_layer.traffic.spark_day_rules import SCHEMA
from batch_layer.traffic.spark_day_rules import day_outcomes as spark_day_outcomes
from bench.labelled import families_of_weeks, held_out_families, tuned_families
from bench.labelled.batch_runs import Cost, costs
from bench.labelled.files import days_of, read_events
from bench.labelled.score import Score
from bench.labelled.world import Family, Label, World
from ingestion.contract.traffic_policy import SHIPPED
from jobs.settings.state_home import state_home

Rules = Callable[[Sequence[DayEvent], date], Iterable[DayOutcome]]
VERDICTS = {None: "counted", "invalid": "invalid_traffic", "review": "under_review"}
FAMILIES: Mapping[str, tuple[Family, ...]] = {
    "held_out": (*held_out_families.HONEST, *held_out_families.ATTACKS),
    "tuned": (*tuned_families.HONEST, *tuned_families.ATTACKS),
    "weeks": (*families_of_weeks.HONEST, *families_of_weeks.ATTACKS),
}
DAYS, DAYS_OF_WEEKS = 3, 30


class Stream(NamedTuple):
    """Labelled traffic."""

    events: list[DayEvent]
    labels: dict[str, Label]
    general: dict[str, str]
    """The outcomes of general rules by event id."""
    payee_viewers: list[PayeeViewer]


def main() -> None:
    """Print the figures."""
    wanted = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    wanted.add_argument("--seeds", default="1,2,3")
    wanted.add_argument("--size", type=int, default=40_000, help="events of ordinary people")
    wanted.add_argument("--families", choices=[*FAMILIES, "both"], default="both")
    wanted.add_argument("--labelled", type=Path, nargs="+")
    wanted.add_argument("--verdicts", type=Path, help="write a row for each event id, for another score")
    wanted.add_argument("--spark", action="store_true", help="judge in Spark instead of the plain model")
    wanted.add_argument("--runs", action="store_true", help="measure batch runs without and with the day rules")
    asked = wanted.parse_args()
    if asked.runs:
        for stream in streams(asked):
            print_runs(stream.events)
        return
    score, rules, count, seconds = Score(), SparkRules() if asked.spark else plain_rules, 0, 0.0
    of_both, verdicts = Score(), dict[str, str]()
    for stream in streams(asked):
        events = [each for each in stream.events if each.event_id not in stream.general]
        started = time.monotonic() if asked.spark else time.process_time()
        outcomes = stream.general | judged(events, rules)
        seconds += (time.monotonic() if asked.spark else time.process_time()) - started
        score.add(stream.events, stream.labels, outcomes)
        if not asked.spark and (found := judged_as_period(events, stream.payee_viewers)) is not None:
            outcomes = found | outcomes
            of_both.add(stream.events, stream.labels, outcomes)
        verdicts |= {each.event_id: VERDICTS[outcomes.get(each.event_id)] for each in stream.events}
        count += len(stream.events)
    print(f"{count:,} events, {seconds:.0f} s {'in Spark' if asked.spark else 'of CPU in the plain model'}")
    print("\n".join(score.lines()))
    if of_both.events:
        print("the streams of 28 days and more, with the rules of a period:")
        print("\n".join(of_both.lines()))
    if asked.verdicts:
        with asked.verdicts.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("event_id", "verdict"), *sorted(verdicts.items())])


def print_runs(events: Sequence[DayEvent]) -> None:
    """Print what runs cost that count these events, and how the cost grows with day rules."""
    print(f"{len(events):,} events on {len({each.event_day for each in events})} days")
    found: dict[str, Cost] = {}
    for name, cost in costs(events):
        found[name] = cost
        print(f"{name}: {cost.seconds:.1f} s, {cost.cpu_seconds:.1f} s of CPU, {cost.jobs} jobs of Spark; "
              + ", ".join(f"{stage} {seconds:.1f}" for stage, seconds in cost.stages.items()))  # fmt: skip
    base, ruled = found["without"], found["with"]
    print(f"with day rules against without: {ruled.seconds / base.seconds:.2f} x the seconds, "
          f"{ruled.cpu_seconds / base.cpu_seconds:.2f} x the CPU, {ruled.jobs / base.jobs:.2f} x the jobs")  # fmt: skip


def streams(asked: argparse.Namespace) -> Iterator[Stream]:
    """Yield each stream."""
    for folder in asked.labelled or ():
        rows = list(read_events(folder))
        general = {event.event_id: "invalid" for event, _, is_invalid in rows if is_invalid}
        yield Stream([event for event, _, _ in rows], {event.event_id: label for event, label, _ in rows}, general, [])
    for seed in () if asked.labelled else asked.seeds.split(","):
        world = World(int(seed), size=asked.size, days=DAYS_OF_WEEKS if asked.families == "weeks" else DAYS)
        world.ordinary()
        for family in FAMILIES.get(asked.families, (*FAMILIES["held_out"], *FAMILIES["tuned"])):
            family(world)
        yield Stream(world.events, world.labels, {}, world.owners)


def judged(every: Sequence[DayEvent], rules: Rules) -> dict[str, str]:
    """Return the outcome of each event that has one, by its id."""
    ids = {(each.partition, each.offset): each.event_id for each in every}
    return {ids[each.partition, each.offset]: each.outcome for day, rows in days_of(every) for each in rules(rows, day)}


def judged_as_period(every: Sequence[DayEvent], payee_viewers: Sequence[PayeeViewer]) -> dict[str, str] | None:
    """Return what the rules of a period say of each event, by its id; None if they look at more days than these."""
    days = {each.event_day for each in every}
    if len(days) < SHIPPED.period_days:
        return None
    ids = {(each.partition, each.offset): each.event_id for each in every}
    found = period_outcomes(every, payee_viewers, days, SHIPPED)
    return {ids[each.partition, each.offset]: each.outcome for each in found}


def plain_rules(rows: Sequence[DayEvent], day: date) -> Iterable[DayOutcome]:
    """Return the outcomes of a day by the plain model."""
    return day_outcomes(rows, day, SHIPPED)


class SparkRules:
    """The outcomes of a day by Spark."""

    def __init__(self) -> None:
        jars = state_home() / "jars" / "spark"
        settings = SparkSettings(jars, folder_catalog("/nonexistent"), log=Path(os.devnull), shuffle_partitions=4)
        self._spark = open_session(settings, "bench of day rules")

    def __call__(self, rows: Sequence[DayEvent], day: date) -> Iterable[DayOutcome]:
        """Return the outcomes of a day."""
        given = kept(self._spark.createDataFrame([(*each, day) for each in rows], SCHEMA)).rows
        started = time.monotonic()
        found = spark_day_outcomes(given, SHIPPED).select(*DayOutcome._fields).collect()
        print(f"{day}: {len(rows):,} events in {time.monotonic() - started:.1f} s")
        return [DayOutcome(*row) for row in found]


if __name__ == "__main__":
    main()
