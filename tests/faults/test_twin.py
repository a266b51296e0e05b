"""The pipeline's twin in one process: Hypothesis searches schedules of faults for a wrong answer, and shrinks them.

The same schedules are searched in every run. For a longer search, with other schedules each time:

    pytest tests/faults/test_twin.py -k right --hypothesis-profile soak --hypothesis-seed 1
"""

import logging
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from speed_layer.chunk import Chunk
from speed_layer.segments import Applied, Moved
from tests.faults.twin import EVERYTHING, PARTITIONS, Hitch, Pipeline, TwinStore

KINDS = ("fresh", "repeat", "marker", "conflict", "poison", "late", "future", "repeat elsewhere")
HURTS = ("refuse", "lose reply", "lose half", "kill before", "kill after")
MEANWHILE = ("append", "others count", "step", "cut", "publish", "refresh", "rewind", "flush", "retain")

partitions = st.integers(0, PARTITIONS - 1)
processes = st.integers(0, 2)
calls = st.integers(1, 9)
few = st.integers(1, 4)
records = st.sampled_from((EVERYTHING, 1, 2, 0))
minutes = st.sampled_from((0, 10, 59, 150))
meanwhile = st.lists(st.tuples(st.sampled_from(MEANWHILE), st.integers(0, 3)), min_size=1, max_size=6)


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

    def hold(self, at: int, others: list[tuple[str, int]]) -> Hitch:
        return Hitch(at, "hold", lambda: [self.happen(*each) for each in others] and None)

    def happen(self, name: str, number: int) -> None:
        """What happens while something else is held."""
        pipeline = self.pipeline
        match name:
            case "append":
                pipeline.append("fresh", number % PARTITIONS, 10, number)
            case "step":
                if pipeline.processes:
                    pipeline.step(pipeline.processes[number % len(pipeline.processes)])
            case "rewind":
                pipeline.rewind(number + 1)
            case "retain":
                pipeline.retain(number % PARTITIONS, 2, is_unsettled=number > 1)
            case "others count":
                pipeline.let_others_count()
            case _:
                getattr(pipeline, name)()
        pipeline.check()

    def one_of(self, number: int) -> Any:
        return self.pipeline.processes[number % len(self.pipeline.processes)]

    def start_process(self) -> None:
        if len(self.pipeline.processes) < 3:
            self.pipeline.start()

    @initialize()
    def begin(self) -> None:
        self.do(self.pipeline.start)

    @rule(kind=st.sampled_from(KINDS), partition=partitions, minutes=minutes, choice=st.integers(0, 6))
    def append(self, kind: str, partition: int, minutes: int, choice: int) -> None:
        self.do(self.pipeline.append, kind, partition, minutes, choice)

    @rule(partition=partitions, minutes=minutes, count=few)
    def append_several(self, partition: int, minutes: int, count: int) -> None:
        for number in range(count):
            self.do(self.pipeline.append, "fresh", partition, minutes, number)

    @precondition(lambda self: self.pipeline.processes)
    @rule(number=processes, records=records, seconds=st.sampled_from((2.5, 0.4)))
    def step(self, number: int, records: int, seconds: float) -> None:
        self.do(self.pipeline.step, self.one_of(number), records=records, seconds=seconds)

    @precondition(lambda self: self.pipeline.processes)
    @rule(number=processes, at=calls, kind=st.sampled_from(HURTS))
    def step_and_be_hurt(self, number: int, at: int, kind: str) -> None:
        self.do(self.pipeline.step, self.one_of(number), hitch=Hitch(at, kind))

    @precondition(lambda self: self.pipeline.processes)
    @rule(number=processes, at=calls, meanwhile=meanwhile)
    def step_and_be_held_in_the_middle(self, number: int, at: int, meanwhile: list[tuple[str, int]]) -> None:
        self.do(self.pipeline.step, self.one_of(number), hitch=self.hold(at, meanwhile))

    @rule()
    def start(self) -> None:
        self.do(self.start_process)

    @rule()
    def start_without_knowing_what_is_published(self) -> None:
        if len(self.pipeline.processes) < 3:
            self.do(self.pipeline.start_cut_off)

    @precondition(lambda self: self.pipeline.processes)
    @rule(number=processes)
    def kill(self, number: int) -> None:
        self.do(self.pipeline.kill, self.one_of(number))

    @precondition(lambda self: self.pipeline.processes)
    @rule(number=processes)
    def cut_off_from_what_is_published(self, number: int) -> None:
        self.do(self.pipeline.cut_off, self.one_of(number))

    @precondition(lambda self: self.pipeline.processes)
    @rule(number=processes, assigned=st.sets(partitions))
    def rebalance(self, number: int, assigned: set[int]) -> None:
        self.one_of(number).log.awaited = assigned

    @rule(changes=few)
    def rewind_the_store(self, changes: int) -> None:
        self.do(self.pipeline.rewind, changes)

    @rule()
    def flush_the_store(self) -> None:
        self.do(self.pipeline.flush)

    @rule(calls=few)
    def let_the_store_refuse(self, calls: int) -> None:
        self.pipeline.store.refusals = calls
        self.do(lambda: None)

    @rule()
    def take_a_cut(self) -> None:
        self.do(self.pipeline.cut)

    @rule(at=calls, kind=st.sampled_from(HURTS))
    def take_a_cut_and_be_hurt(self, at: int, kind: str) -> None:
        self.do(self.pipeline.cut, Hitch(at, kind))

    @rule(at=calls, meanwhile=meanwhile)
    def take_a_cut_and_be_held_in_the_middle(self, at: int, meanwhile: list[tuple[str, int]]) -> None:
        self.do(self.pipeline.cut, self.hold(at, [each for each in meanwhile if each[0] not in ("cut", "publish")]))

    @rule(changes=few)
    def take_a_cut_and_lose_it(self, changes: int) -> None:
        self.do(self.pipeline.lose_cut, changes)

    @precondition(lambda self: self.pipeline.run)
    @rule(is_pruned=st.sampled_from((True, True, False)))
    def publish(self, is_pruned: bool) -> None:
        self.do(self.pipeline.publish, is_pruned=is_pruned)

    @rule()
    def refresh_the_reader_that_lags_behind(self) -> None:
        self.do(self.pipeline.refresh)

    @rule(partition=partitions, offsets=few)
    def remove_what_nobody_needs(self, partition: int, offsets: int) -> None:
        self.do(self.pipeline.retain, partition, offsets, is_unsettled=False)

    @rule(partition=partitions, offsets=few)
    def remove_what_is_not_settled(self, partition: int, offsets: int) -> None:
        self.do(self.pipeline.retain, partition, offsets, is_unsettled=True)

    def teardown(self) -> None:
        try:
            if not self.is_broken:
                self.pipeline.drain()
        finally:
            self.pipeline.close()


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    """Thousands of warnings are what these schedules are for."""
    caplog.set_level(logging.CRITICAL, "speed_layer")


def chosen() -> settings:
    name = settings.get_current_profile_name()
    return settings.get_profile(name if name == "soak" else "twin")


def test_whatever_happens_in_whatever_order_what_is_served_is_right() -> None:
    run_state_machine_as_test(Twin, settings=chosen())


class CarelessStore(TwinStore):
    """Applies whatever it is given, wherever it stands."""

    def _apply(self, chunk: Chunk, applied_at_ms: int) -> Applied | Moved:
        if (state := self._partitions.get(chunk.span.partition)) is not None:
            state.position = chunk.span.position
        return super()._apply(chunk, applied_at_ms)


def test_a_store_that_ignores_the_position_is_found_out() -> None:
    class CarelessPipeline(Pipeline):
        store_type = CarelessStore

    class CarelessTwin(Twin):
        pipeline_type = CarelessPipeline

    with pytest.raises(AssertionError):
        run_state_machine_as_test(
            CarelessTwin, settings=settings(chosen(), max_examples=2_000, phases=[Phase.generate])
        )
