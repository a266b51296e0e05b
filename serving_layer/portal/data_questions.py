"""The questions of the data page, as SQL on the reporting schema: what is shown is what is run. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

RANKED_MAX = 10
SPLITS = 2
"""Views are split by country and by device."""


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
        return bool(self.split_filters or self.channel)

    @property
    def split_filters(self) -> Mapping[str, str]:
        """Return the filters among country and device that are set."""
        return {name: value for name, value in (("country", self.country), ("device", self.device)) if value}


_BY_DAY = """\
WITH sums AS (
    SELECT event_day, sum(views)::bigint AS views, sum(billable_views)::bigint AS billable_views,
           sum(watched_seconds)::bigint AS watched_seconds
    FROM {source}
    GROUP BY event_day
)
SELECT DATE '{start_on}' + place AS event_day,
       {columns}
FROM generate_series(0, (SELECT max(event_day) - DATE '{start_on}' FROM sums)) AS place
LEFT JOIN sums d ON d.event_day = DATE '{start_on}' + place
LEFT JOIN sums b ON b.event_day = DATE '{before_on}' + place AND b.event_day < DATE '{start_on}'
ORDER BY event_day"""
"""A row for each day of the span up to the last one with a view (d), beside the same day of the span before (b)."""

_VIEWS = """\
coalesce(d.views, 0) AS views, coalesce(d.billable_views, 0) AS billable_views,
       CASE WHEN place < {days_before} THEN coalesce(b.views, 0) END AS views_before,
       CASE WHEN place < {days_before} THEN coalesce(b.billable_views, 0) END AS billable_views_before"""
"""Null: the span before has fewer days."""

_SECONDS = """\
d.watched_seconds, round(d.watched_seconds::numeric / nullif(d.views, 0), 3) AS average_view_duration,
       b.watched_seconds AS watched_seconds_before"""
"""Null: the day has no view, or its seconds are not summed."""

_FILTERED_CHANNELS = """\
WITH sums AS (
    SELECT payee_id, coalesce(sum(views) FILTER (WHERE event_day >= DATE '{start_on}'), 0)::bigint AS views,
           coalesce(sum(billable_views) FILTER (WHERE event_day >= DATE '{start_on}'), 0)::bigint AS billable_views,
           sum(watched_seconds) FILTER (WHERE event_day >= DATE '{start_on}') AS watched_seconds,
           sum(CASE WHEN event_day >= DATE '{start_on}' THEN views ELSE -views END)::bigint AS rise
    FROM {source}
    GROUP BY payee_id
)
SELECT payee_id, name, s.views, s.billable_views, s.rise,
       round(s.watched_seconds / nullif(s.views, 0), 3) AS average_view_duration
FROM (SELECT * FROM sums WHERE {by} > 0 ORDER BY {by} DESC, payee_id LIMIT {most}) AS s
LEFT JOIN (SELECT payee_id, name FROM reporting.channel_spans WHERE {span}) AS n USING (payee_id)
ORDER BY s.{by} DESC, payee_id"""
"""The sums of the span, and how many views more than in the span before."""

_SHARES = """\
SELECT event_day, counted, invalid, round(100.0 * invalid / nullif(counted + invalid, 0), 2) AS invalid_percent,
       r.events AS under_review, round(100.0 * r.events / nullif(counted, 0), 2) AS under_review_percent
FROM (SELECT event_day, coalesce(sum(events) FILTER (WHERE verdict = 'counted'), 0)::bigint AS counted,
             coalesce(sum(events) FILTER (WHERE verdict = 'invalid_traffic'), 0)::bigint AS invalid
      FROM reporting.tally
      WHERE event_day >= DATE '{start_on}' AND event_day < DATE '{end_on}'
      GROUP BY event_day) AS t
LEFT JOIN reporting.under_review r USING (event_day)
ORDER BY event_day"""


def questions(asked: AskedSpan) -> Mapping[str, str]:
    """Return the name of each question → its SQL. No parameter is left open: the text can be copied and run."""
    return {
        "days": _by_day(asked, _VIEWS.format(days_before=(asked.start_on - asked.before_on).days)),
        "watch_time": _by_day(asked, _SECONDS),
        "shares": _SHARES.format(start_on=asked.start_on, end_on=asked.end_on),
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


_AVERAGE = "average_view_duration"
COLUMNS = {
    "days": ("event_day", "views", "billable_views", "views_before", "billable_views_before"),
    "watch_time": ("event_day", "watched_seconds", "average_view_duration", "watched_seconds_before"),
    "shares": ("event_day", "counted", "invalid", "invalid_percent", "under_review", "under_review_percent"),
    "countries": ("country", "views", "billable_views", "views_before", _AVERAGE),
    "devices": ("device", "views", "billable_views", "views_before", _AVERAGE),
    **dict.fromkeys(
        ("top_videos", "rising_videos"), ("video_id", "title", "views", "billable_views", "rise", _AVERAGE)
    ),
    **dict.fromkeys(
        ("top_channels", "rising_channels"), ("payee_id", "name", "views", "billable_views", "rise", _AVERAGE)
    ),
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
    filters = {name: value for name, value in asked.split_filters.items() if name != by}
    split = [*filters, by] if by else list(filters)
    if len(split) < SPLITS:
        of_kind = f" AND payee_id = {quoted(asked.channel)} AND split_by = '{split[0] if split else 'day'}'"
        return f"reporting.day_sums\nWHERE {_days(asked)}{of_kind}{_equal(filters)}"
    view = "reporting.channel_days" if asked.channel else "reporting.days"
    return f"{view}\nWHERE {_days(asked)}{_of_channel(asked)}{_equal(filters)}"


def _channel_source(asked: AskedSpan) -> str:
    """Return the view of channels and its conditions."""
    filters = asked.split_filters
    conditions = f"WHERE {_days(asked)}{_of_channel(asked)}{_equal(filters)}"
    if len(filters) == SPLITS:
        return f"reporting.channel_days\n    {conditions}"
    return f"reporting.day_sums\n    {conditions} AND payee_id <> '' AND split_by = '{next(iter(filters), 'day')}'"


def _equal(filters: Mapping[str, str]) -> str:
    return "".join(f" AND {name} = {quoted(value)}" for name, value in filters.items())


def _of_channel(asked: AskedSpan) -> str:
    return f" AND payee_id = {quoted(asked.channel)}" if asked.channel else ""


def _by_day(asked: AskedSpan, columns: str) -> str:
    return _BY_DAY.format(source=_source(asked), start_on=asked.start_on, before_on=asked.before_on, columns=columns)


def _groups(asked: AskedSpan, by: str) -> str:
    now, before = f"event_day >= DATE '{asked.start_on}'", f"event_day < DATE '{asked.start_on}'"
    return (
        f"SELECT {by}, coalesce(sum(views) FILTER (WHERE {now}), 0)::bigint AS views,\n"
        f"       coalesce(sum(billable_views) FILTER (WHERE {now}), 0)::bigint AS billable_views,\n"
        f"       coalesce(sum(views) FILTER (WHERE {before}), 0)::bigint AS views_before,\n"
        f"       round(sum(watched_seconds) FILTER (WHERE {now})\n"
        f"             / nullif(sum(views) FILTER (WHERE {now}), 0), 3) AS {_AVERAGE}\n"
        f"FROM {_source(asked, by)}\nGROUP BY {by}\nORDER BY views DESC, {by}"
    )


def _ranking(asked: AskedSpan, kind: str, by: str) -> str:
    """Rank by what is kept for whole spans; channels with filters by the sums of what these let through."""
    subject, name = ("video_id", "title") if kind == "video" else ("payee_id", "name")
    span = f"span = '{asked.span}' AND start_on = DATE '{asked.start_on}'"
    if kind == "video" or not asked.is_filtered:
        return (
            f"SELECT {subject}, {name}, views, billable_views, rise,\n"
            f"       round(watched_seconds::numeric / nullif(views, 0), 3) AS {_AVERAGE}\nFROM reporting.{kind}_spans\n"
            f"WHERE {span} AND {by} > 0\nORDER BY {by} DESC, {subject}\nLIMIT {RANKED_MAX}"
        )
    return _FILTERED_CHANNELS.format(
        by=by, span=span, source=_channel_source(asked), start_on=asked.start_on, most=RANKED_MAX
    )
