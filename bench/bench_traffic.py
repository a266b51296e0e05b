"""The CPU time of the general rules of invalid traffic for an event, and for the worst user agents.

    PYTHONPATH=. .viewledger/venv/bin/python -P bench/bench_traffic.py [--events FILE.jsonl]

Without a file, events are made of 6,000 agents, of which a few are seen very often.
"""

import argparse
import random
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from ingestion.contract.decoding import decode_view_event
from ingestion.contract.event import AdView, ViewEvent
from ingestion.contract.event_contracts import NEWEST
from ingestion.contract.traffic import invalid_reason, load_lists

EVENTS = 200_000
AGENTS = 6_000
LENGTH = 2_048
ROUNDS = 2_000
PIECES = (
    "bot",
    "spide",
    "crawle",
    "Googl",
    "Heritri",
    "heritri",
    "masscan",
    "cubot",
    "Android 1",
    "; ",
    "meta-external",
    "python-",
)


def main() -> None:
    """Print the figures."""
    wanted = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    wanted.add_argument("--events", type=Path)
    asked = wanted.parse_args()
    load_lists()
    events = list(read(asked.events) if asked.events else made(random.Random(1)))
    print(f"mean of {len(events):,} events: {min(passed(events) for _ in range(3)):.2f} µs (of three passes, the best)")
    for name, make in worst_agents(random.Random(2)).items():
        best = min(passed([event(make()) for _ in range(ROUNDS)]) for _ in range(3))
        print(f"new agents of {LENGTH:,} characters, {name}: {best:.2f} µs (of three passes, the best)")


def passed(events: list[ViewEvent]) -> float:
    """Return the mean CPU time of an event in microseconds."""
    started = time.process_time()
    for each in events:
        invalid_reason(each, NEWEST)
    return (time.process_time() - started) / len(events) * 1e6


def read(file: Path) -> Iterable[ViewEvent]:
    """Yield the well-formed events of a file of JSON lines."""
    with file.open("rb") as lines:
        for line in lines:
            found = decode_view_event(line.rstrip(b"\n"))
            if isinstance(found, ViewEvent):
                yield found


def made(rng: random.Random) -> Iterable[ViewEvent]:
    """Yield events of many agents."""
    agents = [
        f"Mozilla/5.0 (Linux; Android {rng.randint(9, 15)}; SM-{number}) AppleWebKit/537.36 (KHTML, like Gecko) "
        f"Chrome/{rng.randint(90, 131)}.0.0.0 Mobile Safari/537.36"
        for number in range(AGENTS)
    ]
    for number in range(EVENTS):
        ads = [AdView("ad", "pre_roll", 15), AdView("other", "mid_roll", 30)] if number % 2 else None
        # text of its own, as the decoder makes it
        yield event(bytes(agents[min(int(rng.paretovariate(0.4)) - 1, AGENTS - 1)], "ascii").decode(), ads)


def event(agent: str, ads: list[AdView] | None = None) -> ViewEvent:
    """Return an event with a user agent."""
    at = datetime(2026, 11, 20, tzinfo=UTC)
    return ViewEvent(UUID(int=1), "video", "viewer", "session", at, 60, True, "mobile", ad_views=ads, user_agent=agent)


def worst_agents(rng: random.Random) -> dict[str, Callable[[], str]]:
    """Return makers of long agents; each agent is new, so that no kept answer helps."""
    letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJ0123456789 ;()/.-"
    return {
        "letters": lambda: "".join(rng.choices(letters, k=LENGTH)),
        "pieces of patterns": lambda: "".join(rng.choices(PIECES, k=LENGTH))[:LENGTH],
        "devices alone": lambda: ("".join(rng.choices(letters, k=8)) + "Android 9; bot) " * LENGTH)[:LENGTH],
        "letters beyond ASCII": lambda: "".join(rng.choices("äöüбоtлД漢字", k=LENGTH)),
    }


if __name__ == "__main__":
    main()
