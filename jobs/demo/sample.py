"""Read the real daily views that give the demo's traffic its shape."""

import csv
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from jobs.errors import CommandError
from jobs.exit_codes import ExitCode

SAMPLE_FILE = Path(__file__).parents[2] / "deploy" / "sample" / "trending_daily_views.csv"
DAY_COUNT = 32
DAYS_BEFORE_TODAY = 2
RULED_DAYS = 1
"""The rules of the day judge this many of the last days: each takes some seconds, however few events it has."""


@dataclass(frozen=True)
class VideoDay:
    """The real views of one video on one day."""

    video_id: str
    channel: str
    day: date
    views: int


def read_video_days(today: date, path: Path = SAMPLE_FILE) -> list[VideoDay]:
    """Return the last `DAY_COUNT` real days, moved so that the last of them is two days before `today`.

    Event times must be recent: the pipeline sends anything older than 35 days to review.

    Raises:
        CommandError: the file is missing or a row does not follow the sample's README.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = [_read_row(row, path, number) for number, row in enumerate(csv.DictReader(file), start=2)]
    except OSError as error:
        raise CommandError(f"the sample file {path} cannot be read: {error.strerror}", ExitCode.BAD_INPUT) from error
    last_day = max(row.day for row in rows)
    shift = today - timedelta(days=DAYS_BEFORE_TODAY) - last_day
    first_day = last_day - timedelta(days=DAY_COUNT - 1)
    return [VideoDay(row.video_id, row.channel, row.day + shift, row.views) for row in rows if row.day >= first_day]


def first_ruled_day(today: date) -> date:
    """Return the first of the sample's days that the rules of the day judge."""
    return today - timedelta(days=DAYS_BEFORE_TODAY + RULED_DAYS - 1)


def _read_row(row: dict[str, str], path: Path, line: int) -> VideoDay:
    try:
        return VideoDay(
            row["video_id"], row["channel_title"], date.fromisoformat(row["day"]), max(1, int(row["views"]))
        )
    except (KeyError, ValueError, TypeError) as error:
        raise CommandError(f"{path}, line {line}: not a sample row ({error})", ExitCode.BAD_INPUT) from error
