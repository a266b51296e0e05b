"""The questions of the data page, as SQL on the reporting schema: what is shown is what is run. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

RANKED_MAX = 10


class CalendarSpan(StrEnum):
    """A calendar span (UTC); weeks begin on Mondays."""

    WEEK = "week"
    MONTH = "month"

    def start(self, day: date) -> date:
        """Return the first day of the span that a day is in."""
        return day - timedelta(days=day.weekday()) if self is CalendarSpan.WEEK else day.replace(day=1)


@dataclass(frozen=True)
class AskedSpan:
    """What a visitor wants to see; an empty filter sets no condition."""

    span: CalendarSpan
    start_on: date
    country: str = ""
    device: str = ""
    channel: str = ""

    @property
    def end_on(self) -> date:
        """Return the day after the last one."""
        return self.span.start(self.start_on + timedelta(days=7 if self.span is CalendarSpan.WEEK else 31))

    @property
    def before_on(self) -> date:
        """Return the first day of the span before."""
        return self.span.start(self.start_on - timedelta(days=1))

    @property
    def is_filtered(self) -> bool:
        """Return whether anything is left out."""
        return bool(self.country or self.device or self.channel)


_SUMS = "sum(views)::bigint AS views, sum(billable_views)::bigint AS billable_views"

_SHARES = """\
SELECT event_day, coalesce(counted, 0) AS counted, coalesce(invalid, 0) AS invalid,
       r.events AS under_review
FROM (SELECT event_day, (sum(events) FILTER (WHERE verdict = 'counted'))::bigint AS counted,
             (sum(events) FILTER (WHERE verdict = 'invalid_traffic'))::bigint AS invalid
      FROM reporting.tally
      WHERE {days}
      GROUP BY event_day) AS t
LEFT JOIN reporting.under_review r USING (event_day)
ORDER BY event_day"""


def questions(asked: AskedSpan) -> Mapping[str, str]:
    """Return the name of each question → its SQL. No parameter is left open: the text can be copied and run."""
    return {
        "days": f"SELECT event_day, {_SUMS},\n       sum(watched_seconds)::bigint AS watched_seconds\n"
        f"FROM {_source(asked)}\nGROUP BY event_day\nORDER BY event_day",
        "shares": _SHARES.format(days=_days(asked)),
        "countries": _groups(asked, "country"),
        "devices": _groups(asked, "device"),
        "top_videos": _ranking(asked, "video", "views"),
        "rising_videos": _ranking(asked, "video", "rise"),
        "top_channels": _ranking(asked, "channel", "views"),
        "rising_channels": _ranking(asked, "channel", "rise"),
    }


def named_views(asked: AskedSpan) -> Mapping[str, str]:
    """Return the name of each filter whose values only settled views know → SQL for one of these views, of any day."""
    wanted = {
        "device": ("reporting.days", "device", asked.device),
        "channel": ("reporting.channel_days", "payee_id", asked.channel),
    }
    return {
        name: f"SELECT event_day\nFROM {view}\nWHERE {column} = {quoted(value)}\nLIMIT 1"
        for name, (view, column, value) in wanted.items()
        if value
    }


COLUMNS = {
    "days": ("event_day", "views", "billable_views", "watched_seconds"),
    "shares": ("event_day", "counted", "invalid", "under_review"),
    "countries": ("country", "views", "billable_views", "views_before"),
    "devices": ("device", "views", "billable_views", "views_before"),
    **dict.fromkeys(("top_videos", "rising_videos"), ("video_id", "title", "views", "billable_views", "rise")),
    **dict.fromkeys(("top_channels", "rising_channels"), ("payee_id", "name", "views", "billable_views", "rise")),
}
"""Question → the columns of its answer."""


def quoted(text: str) -> str:
    """Return a text as a literal of SQL."""
    return "'" + text.replace("'", "''") + "'"


def _days(asked: AskedSpan) -> str:
    """Return the condition on the days of the span and of the one before."""
    return f"event_day >= DATE '{asked.before_on}' AND event_day < DATE '{asked.end_on}'"


def _source(asked: AskedSpan, by: str = "") -> str:
    """Return the view and its conditions; `by`: what the rows are told apart by, whose filter is left out."""
    wanted = {"country": asked.country, "device": asked.device}
    filters = {name: value for name, value in wanted.items() if value and name != by}
    conditions = "".join(f" AND {name} = {quoted(value)}" for name, value in filters.items())
    split = [*filters, by] if by else list(filters)
    if len(split) < len(wanted):
        of_kind = f" AND payee_id = {quoted(asked.channel)} AND split_by = '{split[0] if split else 'day'}'"
        return f"reporting.day_sums\nWHERE {_days(asked)}{of_kind}{conditions}"
    of_channel = f" AND payee_id = {quoted(asked.channel)}" if asked.channel else ""
    view = "reporting.channel_days" if asked.channel else "reporting.days"
    return f"{view}\nWHERE {_days(asked)}{of_channel}{conditions}"


def _groups(asked: AskedSpan, by: str) -> str:
    now, before = f"event_day >= DATE '{asked.start_on}'", f"event_day < DATE '{asked.start_on}'"
    return (
        f"SELECT {by}, coalesce(sum(views) FILTER (WHERE {now}), 0)::bigint AS views,\n"
        f"       coalesce(sum(billable_views) FILTER (WHERE {now}), 0)::bigint AS billable_views,\n"
        f"       coalesce(sum(views) FILTER (WHERE {before}), 0)::bigint AS views_before\n"
        f"FROM {_source(asked, by)}\nGROUP BY {by}\nORDER BY views DESC, {by}"
    )


def _ranking(asked: AskedSpan, kind: str, by: str) -> str:
    name = "video_id, title" if kind == "video" else "payee_id, name"
    only_risen = " AND rise > 0" if by == "rise" else " AND views > 0"
    return (
        f"SELECT {name}, views, billable_views, rise\nFROM reporting.{kind}_spans\n"
        f"WHERE span = '{asked.span}' AND start_on = DATE '{asked.start_on}'{only_risen}\n"
        f"ORDER BY {by} DESC, {name.partition(',')[0]}\nLIMIT {RANKED_MAX}"
    )
