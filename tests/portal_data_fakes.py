"""The port of the data page in memory: November so far beside October, with titles that try to be markup."""

from collections.abc import Collection, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from ingestion.contract.unavailable import Part, UnavailableError
from serving_layer.portal.data_ports import DataAnswers, DataVersion

FIRST, LAST = date(2026, 10, 1), date(2026, 11, 24)
VERSION = DataVersion(7, datetime(2026, 11, 25, 9, tzinfo=UTC), "October report")


def views_on(day: date) -> int:
    """A week with a quiet Sunday, and more from day to day."""
    return 40_000 + 900 * (day - FIRST).days - (12_000 if day.weekday() == 6 else 0)


def before(day: date) -> date:
    """The same day of October."""
    return day.replace(month=10)


DAYS = [date(2026, 11, 1) + timedelta(days=number) for number in range(LAST.day)]
_VIDEOS = [
    ("-walk_01", "A walk <b>by the sea</b>", 310_400, 260_000, 12_300, Decimal("95.250")),
    ("-walk_02", "=1+1 street food", 190_000, 155_000, 64_000, Decimal("3725.000")),
    ("-walk_03", None, 90_000, 70_000, -4_000, None),
]
_CHANNELS = [
    ("ann", "Ann's <b>walks</b>", 800_000, 640_000, 70_100, Decimal("88.000")),
    ("bob", "", 440_000, 300_000, -9_000, None),
]
ANSWERS: Mapping[str, list[tuple[Any, ...]]] = {
    "days": [
        (day, views_on(day), views_on(day) * 4 // 5, views_on(before(day)), views_on(before(day)) * 4 // 5)
        for day in DAYS
    ],
    "watch_time": [
        (day, views_on(day) * 95, Decimal("95.000"), None if before(day) == FIRST else views_on(before(day)) * 90)
        for day in DAYS
    ],
    "shares": [
        (day, views_on(day), views_on(day) // 25, Decimal("3.85"), 350, Decimal("0.44"))
        if day.day == 18
        else (day, views_on(day), views_on(day) // 25, Decimal("3.85"), None, None)
        for day in DAYS
    ],
    "countries": [
        ("DE", 700_000, 560_000, 610_000, Decimal("91.000")),
        ("US", 410_000, 300_000, 450_000, Decimal("102.500")),
        ("ZZ", 9_000, 0, 0, None),
    ],
    "devices": [
        ("mobile", 900_000, 700_000, 810_000, Decimal("44.000")),
        ("tv", 219_000, 160_000, 250_000, Decimal("1204.000")),
    ],
    "top_videos": _VIDEOS,
    "rising_videos": [_VIDEOS[1], _VIDEOS[0]],
    "top_channels": _CHANNELS,
    "rising_channels": _CHANNELS[:1],
}


KNOWN = ("tv", "mobile", "ann", "bob")
"""The devices and channels that settled views have."""


class FakeData:
    """Implements `serving_layer.portal.data_ports.DataReads`. `away`: the parts that do not answer."""

    def __init__(self, away: Collection[str]) -> None:
        self.away = away
        self.asked: list[Mapping[str, str]] = []
        self.is_empty = False

    def answers(self, questions: Mapping[str, str]) -> DataAnswers:
        if Part.POSTGRES in self.away:
            raise UnavailableError(Part.POSTGRES, "no answer")
        self.asked.append(questions)
        if questions.keys() <= {"device", "channel"}:
            known = [f"'{each}'" for each in KNOWN]
            return DataAnswers(
                VERSION, {name: [(LAST,)] * any(each in sql for each in known) for name, sql in questions.items()}
            )
        if self.is_empty:
            return DataAnswers(VERSION, dict.fromkeys(questions, ()))
        return DataAnswers(VERSION, {name: ANSWERS[name] for name in questions})
