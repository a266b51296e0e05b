"""Attacks on the demo's platform, and honest people who look like them; each family has a channel of its own.

The rules of the day judge all of them, so they watch on the last day. Networks are those reserved for examples: the
producers say where a view came from, as the collector does.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

from jobs.demo.agents import PLAYERS, ROBOTS
from jobs.demo.maker import CAP, Family, Maker

COUNTRIES = ("US", "DE", "FR", "JP", "BR")
DEVICES = ("fridge", "car", "e-reader", "watch", "projector")
PAID, COUNTED, REVIEWED, INVALID = "paid", "counted", "under review", "invalid"


class View(NamedTuple):
    """One view of a family: who watches which of its videos when, what else the event says, and what it becomes."""

    viewer: int
    video: int
    at: timedelta
    """Since the begin of the day."""
    seconds: int
    becomes: str
    also: Mapping[str, Any]


def send_families(maker: Maker, day: date) -> None:
    """Send every family's views of a day, in both settled phases, and write what becomes of them into the truth."""
    for name, (is_attack, views) in _FAMILIES.items():
        maker.truth.families.append(_send(maker, day, name, is_attack=is_attack, views=list(views())))


def _send(maker: Maker, day: date, name: str, *, is_attack: bool, views: list[View]) -> Family:
    slug = name.replace(" ", "-")
    videos = tuple(f"demo-{slug}-{number}" for number in range(1 + max(each.video for each in views)))
    became = [each.becomes for each in views]
    family = Family(
        name,
        is_attack,
        videos,
        views=len(became) - became.count(INVALID),
        paid=became.count(PAID),
        under_review=became.count(REVIEWED),
        invalid=became.count(INVALID),
    )
    maker.channel_of |= dict.fromkeys(videos, family.channel)
    start = datetime.combine(day, datetime.min.time(), UTC)
    for view in views:
        event = maker.event(videos[view.video], start + view.at)
        viewer = f"{slug}-{view.viewer}"
        event |= {
            "user_id": viewer,
            "session_id": f"session of {viewer}",
            "view_duration": view.seconds,
            "geo_location": "US",
            "device_type": "mobile",
            "user_agent": PLAYERS[0],
            **view.also,
        }
        phase = maker.rng.choice((1, 2))
        if view.becomes == INVALID:
            maker.invalid(phase, event)
        else:
            maker.send_to_kafka(phase, event)
            maker.expect_counted(phase, event, billable=view.becomes == PAID)
    return family


def _robots() -> Iterator[View]:
    """Programs that say so."""
    for number in range(12):
        yield View(
            number, 0, timedelta(minutes=40 * number), 120, INVALID, {"user_agent": ROBOTS[number % len(ROBOTS)]}
        )


def _tireless_viewers() -> Iterator[View]:
    """Viewers who watch four videos of twelve hours on one day."""
    for number in range(10):
        for hour in range(4):
            yield View(number, hour, timedelta(hours=hour), 43_200, INVALID, {})


def _shared_session() -> Iterator[View]:
    """Five viewers in as many networks on one session of a player."""
    for number in range(30):
        also = {"session_id": "one session", "client_network": f"198.51.{number % 5}.0/24"}
        yield View(number % 5, 0, timedelta(minutes=31 * number), 100 + 7 * number, INVALID, also)


def _travelling_account() -> Iterator[View]:
    """One account that is in five countries within two hours."""
    for number in range(12):
        also = {"geo_location": COUNTRIES[number % 5], "client_network": f"203.0.{number % 5}.0/24"}
        yield View(0, 0, timedelta(minutes=10 * number), 60 + 13 * number, INVALID, also)


def _day_of_33_hours() -> Iterator[View]:
    """Viewers with more hours than a day has, as a family on one account may have: a person decides."""
    for number in range(3):
        for hour in range(3):
            yield View(number, hour, timedelta(hours=hour), 39_600, REVIEWED, {})


def _school_class() -> Iterator[View]:
    """Twenty-five pupils in one room who begin the same two videos within a minute and see them whole."""
    for number in range(25):
        for lesson in range(2):
            also = {"client_network": "192.0.2.0/24", "device_type": "tablet", "referrer": "https://school.example/"}
            yield View(number, lesson, timedelta(hours=9 + lesson, seconds=2 * number), 600, PAID, also)


def _looped_song() -> Iterator[View]:
    """Somebody who hears a song forty times in a row."""
    for number in range(40):
        yield View(0, 0, timedelta(hours=18, seconds=214 * number), 214, PAID if number < CAP else COUNTED, {})


def _relay_users() -> Iterator[View]:
    """People behind a privacy relay, which gives each view another network, and some another country."""
    for number in range(30):
        also = {
            "client_network": f"198.18.{number}.0/24",
            "network_kind": "relay/1",
            "geo_location": COUNTRIES[number % 5],
        }
        at = timedelta(hours=20, minutes=8 * (number // 5), seconds=number)
        yield View(number % 5, number % 2, at, 120 + number, PAID, also)


def _odd_devices() -> Iterator[View]:
    """Devices and players that few people have."""
    for number in range(20):
        also = {"device_type": DEVICES[number % len(DEVICES)], "user_agent": PLAYERS[1 + number % 2]}
        yield View(number, 0, timedelta(minutes=50 * number), 45 + 11 * number, PAID, also)


_FAMILIES: Mapping[str, tuple[bool, Callable[[], Iterator[View]]]] = {
    "robots": (True, _robots),
    "tireless viewers": (True, _tireless_viewers),
    "shared session": (True, _shared_session),
    "travelling account": (True, _travelling_account),
    "day of 33 hours": (True, _day_of_33_hours),
    "school class": (False, _school_class),
    "looped song": (False, _looped_song),
    "relay users": (False, _relay_users),
    "odd devices": (False, _odd_devices),
}
"""Name → whether it is an attack, and its views."""
