"""The moment in which one version replaces another, under readers and new events."""

import random
import threading
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import httpx

from faults.event_faults import event
from faults.postgres_database import queries
from faults.reference import recount
from faults.scene import Scene
from faults.traffic import VIDEOS
from ingestion.contract.printable import counted

READERS = 200
PAUSE_SECONDS = 1.0
"""The pause of each reader between two requests."""
ASKED = 8
QUIET, BUSY = VIDEOS[:40], VIDEOS[40:]
"""Videos without and with new events during the test."""
VERSIONS = 2


@dataclass
class Seen:
    """The answers that the readers received. Each reader thread only adds."""

    answers: int = 0
    unanswered: int = 0
    wrong: list[str] = field(default_factory=list)
    settled: defaultdict[tuple[int | None, str], set[int]] = field(default_factory=lambda: defaultdict(set))
    """(version, video) → every served number of settled views; each must have exactly one."""
    highest: dict[str, int] = field(default_factory=dict)
    """Video → the most views in a complete answer."""


def hand_over(scene: Scene) -> None:
    """200 readers poll while events come and versions are published: every answer is right, never a dip or a jump."""
    scene.start_ready("speed")
    scene.start_ready("speed")
    for _ in range(3):
        scene.senders.send([event(scene, datetime.now(UTC), video_id=video) for video in QUIET])
    scene.wait(scene.is_counted, "counted")
    exact = {video: scene.answers()[video]["views"] for video in QUIET}
    seen = Seen()
    with _events(scene), _readers(scene, seen, exact):
        scene.hurt(f"{VERSIONS} versions published under {READERS} readers and new events")
        for _ in range(VERSIONS):
            scene.batches.run()
            scene.for_a_while(2)
    if seen.wrong:
        raise AssertionError(f"{len(seen.wrong)} of {seen.answers} answers were wrong, such as {seen.wrong[0]}")
    versions = {version for version, _ in seen.settled}
    if len(versions) < VERSIONS:
        raise AssertionError(f"the readers saw only the versions {versions}")
    scene.wait(scene.is_counted, "counted")
    _expect_settled(scene, seen)
    scene.notes.append(
        f"{counted(seen.answers, 'answer')} to {READERS} readers, of the versions {versions}, "
        f"{seen.unanswered} unanswered"
    )


def _expect_settled(scene: Scene, seen: Seen) -> None:
    """Check that every served number of settled views is the model's number for that version."""
    scene.read_log()
    rows = queries(scene.postgres_url, "SELECT version, offsets -> 'ends' FROM published.versions")
    for version, ends in [(None, [0] * len(rows[0][1])), *rows]:
        covered = [each for each in scene.mirror.values() if each.offset < ends[each.partition]]
        views = recount(covered).views
        for video in VIDEOS:
            served = seen.settled.get((version, video), {views[video]})
            if served != {views[video]}:
                raise AssertionError(
                    f"version {version} of {video} was served as {served}, and the model has {views[video]}"
                )


@contextmanager
def _events(scene: Scene) -> Iterator[None]:
    """Keep sending new events of the busy videos; no id twice, so that every one of them is a view."""
    stopping = threading.Event()
    rng = random.Random(scene.seed)  # noqa: S311

    def send() -> None:
        while not stopping.wait(0.05):
            scene.senders.send([event(scene, datetime.now(UTC), video_id=rng.choice(BUSY)) for _ in range(10)])

    sender = threading.Thread(target=send, daemon=True)
    sender.start()
    try:
        yield
    finally:
        stopping.set()
        sender.join()


@contextmanager
def _readers(scene: Scene, seen: Seen, exact: dict[str, int]) -> Iterator[None]:
    stopping, lock = threading.Event(), threading.Lock()

    def read(number: int) -> None:
        rng = random.Random(number)  # noqa: S311
        with httpx.Client(base_url=f"http://127.0.0.1:{scene.api.port}", timeout=30) as client:
            stopping.wait(rng.uniform(0, PAUSE_SECONDS))
            while not stopping.wait(PAUSE_SECONDS):
                asked = rng.sample(VIDEOS, ASKED)
                with lock:
                    at_least = {video: seen.highest.get(video, 0) for video in asked}
                try:
                    answer = client.post("/v1/views:lookup", json={"video_ids": asked}).raise_for_status()
                except httpx.TransportError:  # such as a connection that had been idle and was just being closed
                    seen.unanswered += 1
                    continue
                with lock:
                    _judge(answer.json()["counts"], seen, exact, at_least, scene)

    readers = [threading.Thread(target=read, args=(number,), daemon=True) for number in range(READERS)]
    for reader in readers:
        reader.start()
    try:
        yield
    finally:
        stopping.set()
        for reader in readers:
            reader.join()


def _judge(
    counts: Sequence[dict[str, object]], seen: Seen, exact: dict[str, int], at_least: dict[str, int], scene: Scene
) -> None:
    for each in counts:
        video, views, settled = str(each["video_id"]), int(str(each["views"])), int(str(each["settled_views"]))
        version = None if each["version"] is None else int(str(each["version"]))
        seen.answers += 1
        seen.settled[version, video].add(settled)
        if not each["complete"]:
            continue
        if video in exact and views != exact[video]:
            seen.wrong.append(f"{each} of a video with {exact[video]} views")
        if views < at_least[video]:
            seen.wrong.append(f"{each} after {at_least[video]}")
        if views > (at_most := scene.senders.sent.attempted_videos[video]):
            seen.wrong.append(f"{each} of a video of which {at_most} events were ever sent")
        seen.highest[video] = max(views, seen.highest.get(video, 0))


FAULTS = {"batch-hand-over-under-readers": hand_over}
