"""Faults of the speed processes."""

import signal

from faults.our_process import is_stopped
from faults.scene import Scene
from faults.tcp_proxy import Mode
from jobs.resilience.failpoints import HANG_SECONDS, Action, Call, Moment, after, before
from speed_layer.ports import DeadLetters, SegmentStore


def killed_before_apply(scene: Scene) -> None:
    """SIGKILL when a chunk is judged and nothing of it is stored."""
    _killed_at(scene, before, SegmentStore.apply)


def killed_after_apply(scene: Scene) -> None:
    """SIGKILL when a chunk is stored and the process does not know it yet."""
    _killed_at(scene, after, SegmentStore.apply)


def killed_before_dead_letters(scene: Scene) -> None:
    """SIGKILL between judging a chunk and sending its rejected messages away."""
    _killed_at(scene, before, DeadLetters.send, at_most=3)


def killed_after_dead_letters(scene: Scene) -> None:
    """SIGKILL when rejected messages are sent and their chunk is not applied."""
    _killed_at(scene, after, DeadLetters.send, at_most=3)


def _killed_at(scene: Scene, moment: Moment, call: Call, *, at_most: int = 20) -> None:
    speed = scene.start("speed", moment(call, Action.KILL, scene.rng.randint(1, at_most)))
    with scene.traffic():
        scene.wait(lambda: speed.exit_codes, "the process has killed itself")
        scene.hurt(f"speed ended with {speed.exit_codes[0]}")
        scene.for_a_while(1)


def killed_at_any_time(scene: Scene) -> None:
    """SIGKILL three times at random instants under load, into Redis calls and between them."""
    speed = scene.start_ready("speed")
    with scene.traffic(1500):
        for _ in range(3):
            scene.for_a_while(scene.rng.uniform(0.2, 1.5))
            speed.signal(signal.SIGKILL)
            scene.hurt("SIGKILL to speed")
            scene.wait(speed.is_ready, "speed is back")


def killed_during_apply(scene: Scene) -> None:
    """SIGKILL during a call of Redis: it was applied, or arrives after its sender died."""
    speed = scene.start_ready("speed")
    with scene.traffic():
        for mode in (Mode.DEAF_BACK, Mode.SILENT):
            scene.for_a_while(scene.rng.uniform(0.3, 1.0))
            scene.redis_proxy.set(mode)
            scene.for_a_while(scene.rng.uniform(0.2, 0.5))  # longer than a poll, shorter than the time-out of a call
            speed.signal(signal.SIGKILL)
            scene.hurt("SIGKILL to speed during a call of Redis")
            scene.redis_proxy.set(Mode.OPEN)
            scene.wait(speed.is_ready, "speed is back")


def reply_lost(scene: Scene) -> None:
    """Redis applies, and its answer never arrives: the connection is cut and answers are dropped."""
    scene.start_ready("speed")
    with scene.traffic():
        scene.for_a_while(scene.rng.uniform(0.3, 1.0))
        scene.redis_proxy.set(Mode.DEAF_BACK)
        scene.for_a_while(scene.rng.uniform(0.1, 0.5))
        scene.redis_proxy.set(Mode.CLOSED)
        scene.hurt("answers of Redis thrown away, then the connection cut")
        scene.for_a_while(0.5)
        scene.redis_proxy.set(Mode.OPEN)


def zombie(scene: Scene) -> None:
    """SIGSTOP past the session timeout: the partitions move. Then SIGCONT, in the middle of what it was doing."""
    first = scene.start_ready("speed")
    with scene.traffic():
        scene.for_a_while(scene.rng.uniform(0.2, 1.0))
        first.signal(signal.SIGSTOP)
        scene.hurt("SIGSTOP to speed")
        second = scene.start("speed")
        positions = scene.positions()
        scene.wait(lambda: second.is_ready() and scene.positions() != positions, "the other one has taken over")
        scene.for_a_while(0.5)
        first.signal(signal.SIGCONT)
        scene.for_a_while(2)


def zombie_between_judging_and_applying(scene: Scene) -> None:
    """The same, with the process stopped exactly before it applies a chunk."""
    first = scene.start("speed", before(SegmentStore.apply, Action.STOP, scene.rng.randint(2, 12)))
    with scene.traffic():
        scene.wait(lambda: is_stopped(first.child.pid), "the process has stopped itself")
        scene.hurt("speed stopped before applying a chunk")
        second, positions = scene.start("speed"), scene.positions()
        scene.wait(lambda: second.is_ready() and scene.positions() != positions, "the other one has taken over")
        first.signal(signal.SIGCONT)
        scene.for_a_while(2)


def poll_interval_overrun(scene: Scene) -> None:
    """A process hangs between two polls for longer than the group allows, while its heartbeats go on."""
    scene.start("speed", before(SegmentStore.apply, Action.HANG, scene.rng.randint(2, 8)))
    with scene.traffic():
        scene.for_a_while(3)
        scene.start("speed")
        scene.hurt("speed hangs, its heartbeats go on")
        scene.for_a_while(HANG_SECONDS)


def rebalance_storm(scene: Scene) -> None:
    """Members join and leave the group, orderly and by SIGKILL, while events keep coming."""
    scene.start_ready("speed")
    with scene.traffic():
        scene.hurt("members come and go")
        for _ in range(4):
            member = scene.start("speed")
            scene.for_a_while(scene.rng.uniform(0.3, 2.0))
            if scene.rng.random() < 0.5:
                member.end()
            else:
                member.is_wanted = False
                member.signal(signal.SIGKILL)
            scene.for_a_while(scene.rng.uniform(0.1, 0.5))


def rolling_restart(scene: Scene) -> None:
    """Both speed processes and the API are stopped under load, one after the other; each exits with 0."""
    members = [scene.start_ready("speed"), scene.start_ready("speed")]
    with scene.traffic():
        scene.hurt("SIGTERM to one after the other")
        for member in [*members, scene.api]:
            scene.for_a_while(0.5)
            member.signal(signal.SIGTERM)
            member.child.wait(30)
            if member.child.returncode != 0:
                raise AssertionError(f"{member.name} ended with {member.child.returncode} after SIGTERM")
            scene.wait(member.is_ready, f"{member.name} is back")


FAULTS = {
    "speed-killed-before-apply": killed_before_apply,
    "speed-killed-after-apply": killed_after_apply,
    "speed-killed-before-dead-letters": killed_before_dead_letters,
    "speed-killed-after-dead-letters": killed_after_dead_letters,
    "speed-killed-at-any-time": killed_at_any_time,
    "speed-killed-during-apply": killed_during_apply,
    "speed-reply-lost": reply_lost,
    "speed-zombie": zombie,
    "speed-zombie-before-apply": zombie_between_judging_and_applying,
    "speed-poll-interval-overrun": poll_interval_overrun,
    "speed-rebalance-storm": rebalance_storm,
    "speed-rolling-restart": rolling_restart,
}
