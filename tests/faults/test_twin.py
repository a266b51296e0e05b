"""The pipeline's twin in one process: Hypothesis searches schedules of faults for a wrong answer, and shrinks them.

The same schedules are searched in every run. For a longer search, with other schedules each time:

    pytest tests/faults/test_twin.py -k right --hypothesis-profile soak --hypothesis-seed 1
"""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from jobs.wiring.api import SpeedLayerCounts
from serving_layer.counts.merge import SpeedSums
from speed_layer.chunk import Chunk
from speed_layer.consume_loop import ConsumeLoop
from speed_layer.errors import SpeedLayerError
from speed_layer.ports import LogRange
from speed_layer.recovery import Resume
from speed_layer.segments import Applied, Moved
from tests.faults.twin import EVERYTHING, PARTITIONS, Hitch, Pipeline, Process, TwinLog, TwinStore

KINDS = ("fresh", "repeat", "fresh", "repeat", "conflict", "marker", "poison", "late", "future", "repeat elsewhere")
LOOP_CALLS = ("reset", "apply", "reset", "look", "ranges", "current", "poll", "first_offset_since", "send", "beat")
CUT_CALLS = ("cut", "highwaters", "broker_time", "beginnings", "appended_at")
HURTS = ("refuse", "lose reply", "lose half", "kill before", "kill after")
MEANWHILE = ("go on", "repeat", "step", "settle", "cut", "refresh", "rewind", "flush", "retain")

partitions = st.integers(0, PARTITIONS - 1)
processes = st.integers(0, 2)
few = st.integers(1, 4)
meanwhile = st.lists(st.tuples(st.sampled_from(MEANWHILE), st.integers(0, 3)), min_size=1, max_size=4)
messages = st.lists(st.tuples(st.sampled_from(KINDS), partitions, st.integers(0, 5)), min_size=1, max_size=8)
# 119 minutes are within the horizon, and two generations of ids later
minutes = st.sampled_from((0, 10, 59, 119))


def mishaps(calls: tuple[str, ...]) -> st.SearchStrategy[tuple[str, Any]]:
    """A call, and what befalls it or what happens while the process is held before it."""
    return st.tuples(st.sampled_from(calls), st.sampled_from(HURTS) | meanwhile)


class Twin(RuleBasedStateMachine):
    """Every rule is something that happens; what is served is checked after each, and after the end."""

    pipeline_type: type[Pipeline] = Pipeline

    def __init__(self) -> None:
        super().__init__()
        self.pipeline = self.pipeline_type()
        self.is_broken = False

    def do(self, happens: Callable[..., Any], *arguments: Any, **named: Any) -> None:
        try:
            happens(*arguments, **named)
            self.pipeline.check()
        except BaseException:
            self.is_broken = True
            raise

    def hitch(self, mishap: tuple[str, Any]) -> Hitch:
        at, what = mishap
        return Hitch(at, what) if isinstance(what, str) else Hitch(at, "hold", lambda: self.happen(what))

    def happen(self, events: list[tuple[str, int]]) -> None:
        """Other events while a process is held; the served counts are checked all the time."""
        pipeline = self.pipeline
        for name, number in events:
            match name:
                case "go on":
                    pipeline.append("fresh", number % PARTITIONS, 10, number)
                    pipeline.count()
                case "repeat":
                    pipeline.append("repeat", number % PARTITIONS, 0, number)
                case "step" if pipeline.processes:
                    pipeline.step(self.one_of(number))
                case "rewind":
                    pipeline.rewind(number + 1)
                case "retain":
                    pipeline.retain(number % PARTITIONS, 2, is_unsettled=number > 2)
                case "cut" | "settle" | "refresh" | "flush":
                    getattr(pipeline, name)()
            pipeline.check()

    def one_of(self, number: int) -> Process:
        return self.pipeline.processes[number % len(self.pipeline.processes)]

    @initialize()
    def begin(self) -> None:
        self.do(self.pipeline.start)

    @rule(messages=messages, minutes=minutes, is_counted=st.booleans())
    def append(self, messages: list[tuple[str, int, int]], minutes: int, is_counted: bool) -> None:
        for kind, partition, choice in messages:
            self.do(self.pipeline.append, kind, partition, minutes, choice)
            minutes = 0
        if is_counted:
            self.do(self.pipeline.count)

    @precondition(lambda self: self.pipeline.processes)
    @rule(number=processes, records=st.sampled_from((EVERYTHING, 1, 2, 0)), seconds=st.sampled_from((2.5, 0.4)))
    def step(self, number: int, records: int, seconds: float) -> None:
        self.do(self.pipeline.step, self.one_of(number), records=records, seconds=seconds)

    @precondition(lambda self: self.pipeline.processes)
    @rule(number=processes, mishap=mishaps(LOOP_CALLS))
    def step_with_a_mishap(self, number: int, mishap: tuple[str, Any]) -> None:
        self.do(self.pipeline.step, self.one_of(number), hitch=self.hitch(mishap))

    @precondition(lambda self: self.pipeline.processes)
    @rule(what=st.sampled_from(("start", "kill", "start cut off", "cut off")), number=processes)
    def change_processes(self, what: str, number: int) -> None:
        match what:
            case "start" | "start cut off" if len(self.pipeline.processes) < 3:
                self.do(self.pipeline.start, is_cut_off=what == "start cut off")
            case "kill":
                self.do(self.pipeline.kill, self.one_of(number))
            case "cut off":
                self.do(self.pipeline.cut_off, self.one_of(number))

    @precondition(lambda self: self.pipeline.processes)
    @rule(number=processes, assigned=st.sets(partitions))
    def rebalance(self, number: int, assigned: set[int]) -> None:
        self.one_of(number).log.awaited = assigned

    @precondition(lambda self: not self.pipeline.processes)
    @rule()
    def start(self) -> None:
        self.do(self.pipeline.start)

    @rule(what=st.sampled_from(("rewind", "refuse", "lose_cut", "flush")), number=few)
    def hurt_the_store(self, what: str, number: int) -> None:
        self.do(getattr(self.pipeline, what), *(() if what == "flush" else (number,)))

    @rule()
    def settle(self) -> None:
        self.do(self.pipeline.settle)

    @rule(mishap=mishaps(CUT_CALLS))
    def cut_with_a_mishap(self, mishap: tuple[str, Any]) -> None:
        self.do(self.pipeline.cut, self.hitch(mishap))

    @precondition(lambda self: self.pipeline.run)
    @rule(is_pruned=st.booleans())
    def publish(self, is_pruned: bool) -> None:
        self.do(self.pipeline.publish, is_pruned=is_pruned)

    @rule()
    def refresh_the_lagging_reader(self) -> None:
        self.do(self.pipeline.refresh)

    @rule(partition=partitions, offsets=few, is_unsettled=st.sampled_from((False, False, False, True)))
    def remove_old_offsets(self, partition: int, offsets: int, is_unsettled: bool) -> None:
        self.do(self.pipeline.retain, partition, offsets, is_unsettled=is_unsettled)

    def teardown(self) -> None:
        try:
            if not self.is_broken:
                self.pipeline.drain()
        finally:
            self.pipeline.close()


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    """Expect thousands of warnings from these schedules."""
    caplog.set_level(logging.CRITICAL, "speed_layer")


def chosen() -> settings:
    name = settings.get_current_profile_name()
    return settings.get_profile(name if name == "soak" else "twin")


def test_whatever_happens_in_whatever_order_what_is_served_is_right() -> None:
    run_state_machine_as_test(Twin, settings=chosen())


class CarelessStore(TwinStore):
    """Applies every chunk at any position."""

    def _apply(self, chunk: Chunk, applied_at_ms: int) -> Applied | Moved:
        if (state := self._partitions.get(chunk.span.partition)) is not None:
            state.position = chunk.span.position
        return super()._apply(chunk, applied_at_ms)


class HalfRestoredStore(TwinStore):
    """It loses counts and keeps positions."""

    def rewind(self, changes: int) -> None:
        positions = {partition: state.position for partition, state in self._partitions.items()}
        super().rewind(changes)
        for partition, state in self._partitions.items():
            state.position = max(state.position, positions.get(partition, 0))


class JumpingLog(TwinLog):
    """It continues where the log begins now, as `auto.offset.reset=earliest` does, without a notice."""

    def ranges(self, partitions: Collection[int]) -> Mapping[int, LogRange]:
        return {each: replace(found, start=0) for each, found in super().ranges(partitions).items()}

    def begin(self, partition: int, position: int) -> None:
        super().begin(partition, max(position, self._topic.starts[partition]))


class TrustingLoop(ConsumeLoop):
    """It continues from the end of the log, as if the group had committed every delivered offset."""

    def _resume(self, partition: int, plan: Resume, log: LogRange) -> None:
        super()._resume(partition, plan, log)
        self._ports.log.begin(partition, log.highwater)


class RosySpeedCounts(SpeedLayerCounts):
    """It calls incomplete counts complete."""

    async def read(self, offset_ends: tuple[int, ...], video_ids: Sequence[str]) -> SpeedSums:
        return msgspec.structs.replace(await super().read(offset_ends, video_ids), is_complete=True)


@pytest.mark.parametrize(
    "broken",
    [
        {"store_type": CarelessStore},
        {"store_type": HalfRestoredStore},
        {"log_type": JumpingLog},
        {"loop_type": TrustingLoop},
        {"speed_counts_type": RosySpeedCounts},
    ],
    ids=lambda broken: next(iter(broken.values())).__name__,
)
def test_what_is_broken_is_found(broken: dict[str, type]) -> None:
    machine = type("BrokenTwin", (Twin,), {"pipeline_type": type("BrokenPipeline", (Pipeline,), broken)})
    search = settings(settings.get_profile("twin"), max_examples=2_000, phases=[Phase.generate])
    with pytest.raises((AssertionError, SpeedLayerError)):
        run_state_machine_as_test(machine, settings=search)


class UnfencedStore(TwinStore):
    """It lets a process that was held in the middle of a repair undo that of another."""

    def reset(self, partition: int, *, instead_of: object, **begin: int) -> bool:
        return super().reset(partition, **begin)


class WithoutSignsOfLife(SpeedLayerCounts):
    """It calls counts complete if only the segments look complete."""

    async def read(self, offset_ends: tuple[int, ...], video_ids: Sequence[str]) -> SpeedSums:
        found = await self._reader.read(offset_ends, video_ids)
        sums = await super().read(offset_ends, video_ids)
        return msgspec.structs.replace(sums, is_complete=found.is_complete)


class FencedPipeline(Pipeline):
    speed_counts_type = WithoutSignsOfLife


class UnfencedPipeline(FencedPipeline):
    store_type = UnfencedStore


@pytest.mark.parametrize(("pipeline_type", "is_right"), [(FencedPipeline, True), (UnfencedPipeline, False)])
def test_a_process_held_in_a_repair_undoes_that_of_another_only_where_the_store_lets_it(
    pipeline_type: type[Pipeline], is_right: bool
) -> None:
    """A schedule that was found once; whether chance finds it again depends on the seed."""
    pipeline = pipeline_type()

    def meanwhile() -> None:
        pipeline.append("fresh", 0, 0, 0)
        pipeline.count()
        pipeline.check()

    pipeline.step(pipeline.start(), hitch=Hitch("reset", "hold", meanwhile))
    if is_right:
        pipeline.check()
        pipeline.drain()
    else:
        with pytest.raises(AssertionError, match="1 views were shown"):
            pipeline.check()
    pipeline.close()
