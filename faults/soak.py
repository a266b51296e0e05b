"""`./viewledger faults soak`: a long time at a high rate with random faults; exact at the end, and memory flat."""

import contextlib
import os
import random
import signal
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

from kafka.errors import KafkaError

from faults.comparison import FAIL, PASS, UNKNOWN, differing
from faults.flatness import Fit, fit
from faults.kafka_topics import read_topic
from faults.our_process import OurProcess
from faults.scene import Scene
from faults.soak_traffic import SoakTraffic, expected_views
from faults.tcp_proxy import Mode
from faults.waiting import NotInTimeError
from ingestion.contract.printable import counted
from ingestion.contract.topics import PARTITION_COUNT
from ingestion.contract.unavailable import UnavailableError

SAMPLE_SECONDS = 5.0
CALM_SECONDS = (15, 40)
"""Between the recovery from one fault and the next."""
RECOVERY_SECONDS_MAX = 300.0
LAG_SECONDS_MAX = 5
"""A lag of the events of this many seconds counts as caught up."""
READ_SECONDS = 3600.0


@dataclass(frozen=True)
class SoakResult:
    """The result of one soak."""

    seed: int
    verdict: str
    minutes: float
    """Seconds of sending."""
    rate_asked: int
    events: int
    """Events sent, without repeats."""
    faults: dict[str, int]
    recovery_seconds_max: float
    """The longest time from a fault until the speed layer had caught up."""
    lag_max: int
    memory: dict[str, tuple[int, int]]
    """Process → mean bytes and growth over the second half."""
    load: float
    """The machine's load, mean over the last 15 minutes; below its number of processors, there was idle time."""
    differences: tuple[str, ...] = ()

    @property
    def rate(self) -> float:
        """Return the events sent per second, without repeats."""
        return self.events / (self.minutes * 60)


class Soak:
    """One soak in a scene. There are two of each of our processes: the first is watched, the second is killed."""

    def __init__(self, scene: Scene, *, minutes: float, rate: int, tell: Callable[[str], None]) -> None:
        self._scene, self._minutes, self._rate, self._tell = scene, minutes, rate, tell
        self._rng = random.Random(f"soak {scene.seed}")  # noqa: S311
        self._memory: dict[str, list[tuple[float, int]]] = defaultdict(list)
        self._faults: dict[str, int] = defaultdict(int)
        self._recovery, self._lag = 0.0, 0
        self._began = 0.0

    def run(self) -> SoakResult:
        """Send, inject faults, and compare."""
        scene = self._scene
        self._watched = [scene.start_ready("speed"), scene.collector, scene.api]
        self._others = [scene.start_ready(name) for name in ("speed", "collector", "api")]
        traffic = SoakTraffic(
            scene.seed,
            self._rate,
            bootstrap=scene.bootstrap,
            topic=scene.topic,
            collectors=lambda: [f"http://127.0.0.1:{each.port}" for each in (self._others[1], scene.collector)],
        )
        found: list[str] = []
        verdict = PASS
        self._began = time.monotonic()
        traffic.start()
        try:
            while time.monotonic() < self._began + self._minutes * 60:
                self._calm(self._rng.uniform(*CALM_SECONDS))
                self._hurt()
            minutes = (time.monotonic() - self._began) / 60
            self._tell(f"soak: {counted(traffic.made, 'event')} made, waiting for the last acknowledgements")
            traffic.finish()
            self._tell("soak: waiting until everything is counted")
            scene.wait(scene.is_counted, "everything is counted and complete", RECOVERY_SECONDS_MAX)
            self._tell("soak: reading the log and comparing")
            found = self._differences(traffic.made)
        except NotInTimeError as error:
            verdict, found, minutes = UNKNOWN, [str(error)], (time.monotonic() - self._began) / 60
        fits = {name: fit(samples) for name, samples in self._memory.items() if len(samples) > 3}
        found += [f"the memory of {name} is not flat: {each}" for name, each in fits.items() if not each.is_flat]
        return self._result(verdict if verdict == UNKNOWN or not found else FAIL, minutes, traffic.made, fits, found)

    def _result(self, verdict: str, minutes: float, made: int, fits: dict[str, Fit], found: list[str]) -> SoakResult:
        return SoakResult(
            seed=self._scene.seed,
            verdict=verdict,
            minutes=round(minutes, 1),
            rate_asked=self._rate,
            events=made,
            faults=dict(self._faults),
            recovery_seconds_max=round(self._recovery, 1),
            lag_max=self._lag,
            memory={name: (each.mean_bytes, each.growth_bytes) for name, each in fits.items()},
            load=round(os.getloadavg()[2], 1),
            differences=tuple(found[:6]),
        )

    def _differences(self, made: int) -> list[str]:
        scene = self._scene
        messages = read_topic(scene.bootstrap, scene.topic, PARTITION_COUNT, seconds_max=READ_SECONDS)
        views, lost = expected_views(messages, made)
        found = [f"not in the log: {counted(lost, 'acknowledged event')}"] if lost else []
        return found + differing("views", {video: each["views"] for video, each in scene.answers().items()}, views)

    def _calm(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self._scene.for_a_while(min(left, SAMPLE_SECONDS))
            with contextlib.suppress(UnavailableError, KafkaError):
                self._sample()

    def _sample(self) -> int:
        at = time.monotonic() - self._began
        for process in self._watched:
            self._memory[process.name].append((at, resident_bytes(process)))
        positions = [each or 0 for each in self._scene.positions()]
        lag = sum(self._scene.highwaters()) - sum(positions)
        self._lag = max(self._lag, lag)
        return lag

    def _hurt(self) -> None:
        name, fault = self._rng.choice(list(self._possible().items()))
        self._faults[name] += 1
        began = time.monotonic()
        fault()
        self._scene.wait(self._has_caught_up, f"caught up after {name}", RECOVERY_SECONDS_MAX)
        took = time.monotonic() - began
        self._recovery = max(self._recovery, took)
        minutes = (time.monotonic() - self._began) / 60
        self._tell(f"soak: minute {minutes:.1f}: {name}, caught up after {took:.0f} s")

    def _has_caught_up(self) -> bool:
        self._scene.for_a_while(0.5)
        try:
            has_positions = all(each is not None for each in self._scene.positions())
            return has_positions and self._sample() <= self._rate * LAG_SECONDS_MAX
        except (UnavailableError, KafkaError):
            return False

    def _possible(self) -> dict[str, Callable[[], None]]:
        scene = self._scene

        def kill(process: OurProcess) -> Callable[[], None]:
            return lambda: process.signal(signal.SIGKILL)

        def restart_redis() -> None:
            scene.redis.kill()
            scene.redis.start()

        def lose_tail() -> None:
            scene.redis.kill()
            scene.redis.lose_tail(0.01)
            scene.redis.start()

        def silence() -> None:
            scene.redis_proxy.set(Mode.SILENT)
            scene.for_a_while(5)
            scene.redis_proxy.set(Mode.OPEN)

        def kill_broker() -> None:
            before = scene.stack.kill("kafka")
            scene.stack.wait_ready("kafka", not_pid=before, within_seconds=120)

        ours = {f"{each.name} killed": kill(each) for each in self._others}
        return ours | {
            "Redis killed": restart_redis,
            "Redis's tail lost": lose_tail,
            "Redis's connections cut": scene.redis_proxy.cut,
            "Redis silent": silence,
            "broker killed": kill_broker,
        }


def resident_bytes(process: OurProcess) -> int:
    """Return the memory of a process."""
    with open(f"/proc/{process.child.pid}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
