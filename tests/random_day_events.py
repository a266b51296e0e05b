"""Random days of traffic in which every day rule finds something: few names, ties, gaps and extremes."""

import random
from dataclasses import fields, replace
from datetime import UTC, date, datetime, timedelta

from batch_layer.traffic.allowed import AllowedViews
from batch_layer.traffic.day_events import DayEvent
from ingestion.contract.allowed_traffic import ALLOWABLE, AllowedKind, AllowedTraffic
from ingestion.contract.traffic_policy import SHIPPED, TrafficPolicy

DAY = date(2026, 11, 20)
LONGEST = 2**31 - 1
ALLOWED_NAMES = [
    *((AllowedKind.NETWORK, f"n{each}") for each in range(30)),
    *((AllowedKind.AGENT, name) for name in ("a0", "a1")),
    *((AllowedKind.PAYEE, name) for name in ("p0", "p1", "p2", "nobody")),
]
"""Names as `random_events` has them, where hashes stand in the tables."""


def low_policy(rng: random.Random) -> TrafficPolicy:
    """A policy that some hundred events can break; every value is a small one."""
    keep = {
        "version",
        "effective_from_on",
        "demoted",
        "paid_seconds",
        "script_spread_seconds",
        "witness_views_max",
        "allowed",
    }
    low = {each.name: rng.randint(1, 2) for each in fields(TrafficPolicy) if each.name not in keep}
    shares = {"lockstep_share": rng.choice((1, 60)), "turn_overlap_share": 1, "script_share": rng.choice((1, 20))}
    ratios = {name: rng.randint(1, 3) for name in low if name.endswith(("ratio", "ratio_review", "ratio_invalid"))}
    least = {name: rng.randint(2, 5) for name in low if "least" in name}
    pauses = {"pauses_review": 3, "pauses_invalid": 4, "pause_seconds": rng.randint(1, 2)}
    at_once = {"at_once_review": 3, "at_once_invalid": 5, "payee_at_once_review": 2, "payee_at_once_invalid": 3}
    most = {"witness_views_max": rng.randint(1, 4), "script_spread_seconds": rng.choice((0, 3_600))}
    names = frozenset(rng.sample(["plays_at_once", "lockstep", "nobody_leaves_early"], rng.randint(0, 2)))
    return replace(SHIPPED, **(low | shares | ratios | least | pauses | at_once | most), demoted=names)  # type: ignore[arg-type]


def some_allowed(rng: random.Random, policy: TrafficPolicy) -> tuple[TrafficPolicy, tuple[AllowedViews, ...]]:
    """The policy with a random allow-list that is about some of the names of `random_events`, and its entries."""
    entries = [
        AllowedTraffic(kind, name, DAY + timedelta(days=rng.randint(0, 2)), tuple(sorted(reasons)), "known")
        for kind, name in rng.sample(ALLOWED_NAMES, rng.randint(1, 6))
        for reasons in [rng.sample(ALLOWABLE, rng.randint(1, len(ALLOWABLE)))]
    ]
    allowing = replace(policy, allowed=tuple(sorted(entries)))
    columns = {AllowedKind.PAYEE: "payee_id"}
    return allowing, tuple(
        AllowedViews(
            columns.get(each.kind, each.kind.value), frozenset({each.name}), each.until, frozenset(each.reasons)
        )
        for each in allowing.allowed
    )


def random_events(rng: random.Random, count: int) -> list[DayEvent]:
    """Events of two days; some viewers repeat what others did, at the same time or later."""
    lengths: dict[str, int | None] = {
        f"v{each}": rng.choice((None, 1, 44, 45, 100, 300, 3_000, LONGEST)) for each in range(9)
    }
    payees = {video: rng.choice((None, "p0", "p1", "p2")) for video in lengths}
    found: list[DayEvent] = []
    while len(found) < count:
        viewer = rng.choice((None, *(f"u{each}" for each in range(12))))
        session = rng.choice((None, "s0", "s1", "s2", "s3"))
        network, country = rng.choice((None, *(f"n{each}" for each in range(30)))), rng.choice((None, "US", "IS", "FR"))
        at = datetime(2026, 11, 19, tzinfo=UTC) + timedelta(milliseconds=rng.randrange(2 * 86_400_000))
        if rng.random() < 0.2 and len(found) > 10:
            begin = rng.randrange(len(found) - 5)
            shift = timedelta(hours=rng.choice((0, 0, 3)), microseconds=rng.randint(-5, 5))
            repeated = found[begin : begin + 5]
            for each in repeated:
                at = each.happened_at + shift
                who = {"user_id": viewer, "session_id": session, "network": network}
                when = {"offset": len(found), "event_id": _id(rng), "happened_at": at, "event_day": at.date()}
                found.append(each._replace(**who, **when))
            continue
        even = rng.choice((None, None, None, 2, 20))
        for _ in range(rng.randint(1, 8)):
            video = rng.choice(list(lengths))
            seconds = _seconds(rng)
            found.append(
                DayEvent(
                    partition=rng.randrange(3),
                    offset=len(found),
                    event_id=_id(rng),
                    event_day=at.date(),
                    happened_at=at,
                    video_id=video,
                    payee_id=payees[video],
                    length_seconds=lengths[video],
                    user_id=viewer,
                    session_id=session,
                    view_duration=seconds,
                    country=country,
                    device_type=rng.choice((None, "tv", "mobile")),
                    network=network,
                    network_kind=rng.choice((None, None, "vpn/1", "data_centre/2", "relay/1")),
                    agent=rng.choice((None, "a0", "a1")),
                    referrer_host=rng.choice((None, "x.example", "y.example", "")),
                )
            )
            back = -seconds if seconds < 400 else 0
            pause = rng.choice((0, 2, 2, 20, back, rng.random() * 900)) if even is None else even
            at += timedelta(seconds=min(seconds, 400) + pause)
    days = (DAY - timedelta(days=1), DAY)
    return [each for each in found if each.event_day in days]


def _seconds(rng: random.Random) -> int:
    usual = (0, 1, 29, 30, 31, 33, 37, 45, 59, 90, rng.randrange(300))
    return rng.choice(usual) if rng.random() < 0.98 else rng.choice((3_000, 200_000, LONGEST))


def _id(rng: random.Random) -> str:
    return rng.choice(("same", "ä", "z", f"e{rng.getrandbits(40)}"))
