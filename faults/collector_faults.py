"""Faults of the collector and its clients."""

import signal

import httpx

from faults.scene import Scene
from faults.traffic import PLAYER
from faults.waiting import until
from ingestion.contract.printable import counted
from ingestion.ports import EventLog
from jobs.resilience.failpoints import Action, after

REPEATS = 50


def killed_between_acknowledgement_and_answer(scene: Scene) -> None:
    """SIGKILL after the broker's acknowledgement and before the answer to the client: the client sends again."""
    scene.start_ready("speed")
    scene.collector.end()
    scene.collector = scene.start_ready("collector", after(EventLog.append, Action.KILL, scene.rng.randint(1, 8)))
    with scene.traffic():
        scene.wait(lambda: scene.collector.exit_codes, "the collector has killed itself")
        scene.hurt("SIGKILL to the collector before it answered")
        scene.for_a_while(2)


def killed_at_any_time(scene: Scene) -> None:
    """SIGKILL three times under load."""
    scene.start_ready("speed")
    with scene.traffic(1500):
        for _ in range(3):
            scene.for_a_while(scene.rng.uniform(0.3, 1.0))
            scene.collector.signal(signal.SIGKILL)
            scene.hurt("SIGKILL to the collector")
            scene.wait(scene.collector.is_ready, "the collector is back")


def client_that_never_hears_back(scene: Scene) -> None:
    """A client gives up waiting and sends the same events 50 times, across restarts of the collector."""
    scene.start_ready("speed")
    intents = [each for each in scene.generator.take(60) if each.over_http and each.event_id]
    scene.senders.sent.attempted_ids.update(str(each.event_id) for each in intents)
    body = b"\n".join(each.value for each in intents)
    scene.hurt(f"{counted(len(intents), 'event')} sent {REPEATS} times")
    for attempt in range(REPEATS):
        if attempt in (15, 30):
            scene.collector.signal(signal.SIGKILL)
            scene.collector.child.wait()
            scene.revive()
        patience = scene.rng.choice((0.002, 0.02, 0.2))
        try:
            httpx.post(
                f"http://127.0.0.1:{scene.collector.port}/v1/events",
                content=body,
                headers={"Content-Type": "application/x-ndjson", "User-Agent": PLAYER},
                timeout=patience,
            )
        except httpx.HTTPError:
            continue
    until(lambda: scene.collector.is_ready(), 30, "the collector is ready")
    scene.senders.send(intents)


FAULTS = {
    "collector-killed-before-answer": killed_between_acknowledgement_and_answer,
    "collector-killed-at-any-time": killed_at_any_time,
    "collector-client-repeats-50-times": client_that_never_hears_back,
}
