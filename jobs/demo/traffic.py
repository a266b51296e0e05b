"""Generate the demo's traffic together with its truth: many views, and everything that goes wrong with some of them."""

import random
from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Any

from jobs.demo.families import send_families
from jobs.demo.maker import PHASES, SHARES, Maker, Traffic
from jobs.demo.sample import VideoDay
from jobs.demo.shuffling import shuffle_in_windows


def make_traffic(video_days: Sequence[VideoDay], *, event_count: int, now: datetime, seed: int) -> Traffic:
    """Return about `event_count` messages shaped by the real days; the same seed and `now` give the same traffic."""
    rng = random.Random(seed)  # noqa: S311 - traffic, not secrets
    maker = Maker(video_days, now=now, rng=rng)
    plain_count = int(event_count / (1 + sum(SHARES.values())))
    sent = {phase: _plain_views(maker, phase, int(plain_count * share)) for phase, share in ((1, 0.55), (2, 0.4))}
    sent[3] = _live_views(maker, plain_count - len(sent[1]) - len(sent[2]))
    _repeats(maker, sent, plain_count)
    _unusable(maker, plain_count)
    last_day = max(each.day for each in video_days)
    # not on the last day: their nights would reach beyond the days that are billed
    for index, video_day in enumerate(rng.sample([each for each in video_days if each.day < last_day], 30)):
        maker.fan_views(f"fan-{index}", datetime.combine(video_day.day, time(), UTC), video_day.video_id)
    send_families(maker, last_day)
    for messages in maker.messages.values():
        shuffle_in_windows(rng, messages)
    return Traffic(maker.messages, maker.truth, maker.channel_of, maker.short_videos)


def _plain_views(maker: Maker, phase: int, count: int) -> list[dict[str, Any]]:
    """Send views in proportion to the real ones; every video gets at least one in the first phase."""
    rng = maker.rng
    chosen = rng.choices(maker.video_days, weights=[each.views for each in maker.video_days], k=count)
    if phase == 1:
        firsts = {each.video_id: each for each in maker.video_days}
        chosen = [*firsts.values(), *chosen[len(firsts) :]]
    chosen.sort(key=lambda each: each.day)
    return [
        maker.plain_view(
            phase,
            each.video_id,
            datetime.combine(each.day, time(), UTC) + timedelta(seconds=rng.randrange(86_400)),
        )
        for each in chosen
    ]


def _live_views(maker: Maker, count: int) -> list[dict[str, Any]]:
    """Send views that happen now; they are served at once and settled only by a later batch run."""
    weights = [each.views for each in maker.video_days]
    chosen = maker.rng.choices(maker.video_days, weights=weights, k=count)
    began = maker.now - timedelta(minutes=10)  # the longest of them has just ended
    return [maker.plain_view(3, each.video_id, began) for each in chosen]


def _repeats(maker: Maker, sent: dict[int, list[dict[str, Any]]], plain_count: int) -> None:
    """Send ids again: the same payload in any phase from its own on, another payload in a later phase."""
    rng = maker.rng
    for _ in range(int(plain_count * SHARES["duplicate"])):
        phase = rng.choices((1, 2), (3, 2))[0]
        event = rng.choice(sent[phase])
        again_in = rng.choice([each for each in PHASES if each >= phase])
        maker.send(again_in, event, event["video_id"])
        maker.expect(again_in, "duplicate")
    videos = sorted(maker.channel_of)
    for index, event in enumerate(rng.sample(sent[1], int(plain_count * SHARES["conflict"]))):
        changed = {**event, "view_duration": event["view_duration"] - 1}
        if index % 20 == 0:
            changed["video_id"] = rng.choice(videos)
        maker.send(2, changed, changed["video_id"])
        maker.expect(2, "conflict")


def _unusable(maker: Maker, plain_count: int) -> None:
    """Send broken events, events from the future, events that come too late, and those of robots."""
    rng = maker.rng
    for kind in ("broken", "future", "late", "robot"):
        for _ in range(int(plain_count * SHARES[kind])):
            video_day = rng.choice(maker.video_days)
            phase = rng.choice((1, 2))
            if kind == "late":
                happened_at = maker.now - timedelta(days=rng.randint(36, 60))
                event = maker.event(video_day.video_id, happened_at)
                # a play that is this old is refused; without one a person decides
                maker.send(phase, event, video_day.video_id, has_play=False)
                maker.expect(phase, "late_review")
            elif kind == "future":
                happened_at = maker.now + timedelta(hours=rng.randint(2, 48))
                maker.refuse(phase, maker.event(video_day.video_id, happened_at), video_day.video_id)
            elif kind == "robot":
                maker.robot(phase, video_day)
            else:
                happened_at = datetime.combine(video_day.day, time(12), UTC)
                event = maker.event(video_day.video_id, happened_at)
                maker.refuse(phase, maker.broken(event), video_day.video_id)
