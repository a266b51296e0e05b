"""Labelled traffic in files, as a direct producer writes it, read as day events."""

import csv
import json
from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from batch_layer.traffic.day_events import DayEvent
from bench.labelled.world import Label
from ingestion.contract.decoding import decode_view_event
from ingestion.contract.event import ViewEvent
from ingestion.contract.event_contracts import NEWEST
from ingestion.contract.traffic import invalid_reason


def read_events(folder: Path) -> Iterator[tuple[DayEvent, Label, bool]]:
    """Yield the first event of each id of `events.kafka.jsonl`, its label, and whether a general rule finds it."""
    with (folder / "videos.csv").open(newline="", encoding="utf-8") as file:
        videos = {row["video_id"]: (row["payee_id"], int(row["length_seconds"])) for row in csv.DictReader(file)}
    with (folder / "labels.csv").open(newline="", encoding="utf-8") as file:
        labels = {row["event_id"]: Label(row["family"], row["label"] == "attack", row["intensity"], row["campaign"])
                  for row in csv.DictReader(file)}  # fmt: skip
    seen: set[str] = set()
    with (folder / "events.kafka.jsonl").open(encoding="utf-8") as file:
        for number, line in enumerate(file):
            raw = json.loads(line)
            if raw["event_id"] not in seen:
                seen.add(raw["event_id"])
                decoded = decode_view_event(line.rstrip("\n").encode())
                label = labels[raw["event_id"]]._replace(is_eligible=raw["revenue_eligible"])
                is_invalid = isinstance(decoded, ViewEvent) and invalid_reason(decoded, NEWEST) is not None
                yield _event(raw, number, *videos[raw["video_id"]]), label, is_invalid


def _event(raw: dict[str, Any], number: int, payee: str, length: int) -> DayEvent:
    happened = datetime.fromisoformat(raw["timestamp"])
    host = (raw.get("referrer") or "").removeprefix("https://").split("/")[0]
    return DayEvent(
        partition=0,
        offset=number,
        event_id=raw["event_id"],
        event_day=happened.date(),
        happened_at=happened,
        video_id=raw["video_id"],
        payee_id=payee,
        length_seconds=length,
        user_id=raw["user_id"],
        session_id=raw["session_id"],
        view_duration=raw["view_duration"],
        country=raw.get("geo_location"),
        device_type=raw.get("device_type"),
        network=raw.get("client_network"),
        network_kind=raw.get("network_kind"),
        agent=raw.get("user_agent"),
        referrer_host=host or None,
    )


def days_of(events: Sequence[DayEvent]) -> Iterator[tuple[date, list[DayEvent]]]:
    """Yield each day with the events that its rules see."""
    for day in sorted({each.event_day for each in events}):
        yield day, [each for each in events if timedelta(0) <= day - each.event_day <= timedelta(1)]
