"""Failpoints: what they are called, when they are reached, and that they cost nothing when unset."""

import signal
from concurrent.futures import Future
from typing import Any

import pytest

from batch_layer.run.ports import Warehouse
from ingestion.contract.unavailable import Part, UnavailableError
from jobs.errors import CommandError
from jobs.resilience import failpoints
from jobs.resilience.failpoints import CALLS, VARIABLE, Action, Failpoint, Failpoints, after, before, parse
from speed_layer.ports import SegmentStore


class Store:
    """A port with one call that is a failpoint and one that is not."""

    def __init__(self) -> None:
        self.applied = 0

    def apply(self, count: int = 1) -> int:
        self.applied += count
        return self.applied

    def other(self) -> str:
        return "other"


def points(text: str, process: str = "speed") -> Failpoints:
    return Failpoints(process, {VARIABLE: text} if text else {})


def test_a_point_is_read_with_everything_in_it() -> None:
    assert parse("speed.after_apply:kill@17, batch.before_cut:stop@1") == (
        Failpoint("speed", "after", "apply", Action.KILL, 17),
        Failpoint("batch", "before", "cut", Action.STOP, 1),
    )


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("speed.apply:kill@1", "speed.after_apply:kill@17"),
        ("speed.after_apply:kill@0", "speed.after_apply:kill@17"),
        ("fast.after_apply:kill@1", "collector, speed, batch"),
        ("speed.after_fly:kill@1", "poll, look, reset, send, apply"),
        ("speed.after_apply:tickle@1", "kill, stop, hang, fail"),
    ],
)
def test_a_wrong_point_is_told_what_is_allowed(text: str, named: str) -> None:
    with pytest.raises(CommandError, match="VIEWLEDGER_FAILPOINT") as refused:
        points(text)
    assert named in str(refused.value)
    assert text in str(refused.value)


def test_without_points_the_port_itself_is_used() -> None:
    store = Store()
    assert points("").on(store, Part.REDIS) is store
    assert points("batch.after_cut:kill@1").on(store, Part.REDIS) is store, "points of other processes are not ours"


def test_fail_before_does_nothing_and_fail_after_has_done_it() -> None:
    untouched, applied = Store(), Store()
    with pytest.raises(UnavailableError, match="before_apply") as failed:
        points("speed.before_apply:fail@1").on(untouched, Part.REDIS).apply()
    with pytest.raises(UnavailableError, match="after_apply"):
        points("speed.after_apply:fail@1").on(applied, Part.REDIS).apply()
    assert (untouched.applied, applied.applied) == (0, 1)
    assert failed.value.part is Part.REDIS, "the server that the port talks to is what is away"


def test_a_point_is_reached_at_its_hit_and_only_then() -> None:
    store = Store()
    hurting = points("speed.before_apply:fail@3").on(store, Part.REDIS)
    assert [hurting.apply(), hurting.apply(count=5)] == [1, 6]
    with pytest.raises(UnavailableError):
        hurting.apply()
    assert hurting.apply() == 7
    assert hurting.other() == "other"


def test_hits_are_counted_over_all_connections_of_the_process() -> None:
    again = points("speed.before_apply:fail@2")
    assert again.on(Store(), Part.REDIS).apply() == 1
    with pytest.raises(UnavailableError):
        again.on(Store(), Part.REDIS).apply()


def test_kill_and_stop_signal_the_process_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[tuple[int, int]] = []
    monkeypatch.setattr(failpoints.os, "kill", lambda pid, number: sent.append((pid, number)))
    hurting = points("speed.before_apply:stop@1,speed.after_apply:kill@1").on(Store(), Part.REDIS)
    hurting.apply()
    assert [number for _, number in sent] == [signal.SIGSTOP, signal.SIGKILL]
    assert {pid for pid, _ in sent} == {failpoints.os.getpid()}


def test_after_a_call_that_answers_by_a_future_means_when_the_future_is_done() -> None:
    class EventLog:
        def append(self, answer: "Future[None]") -> "Future[None]":
            return answer

    hurting: Any = points("collector.after_append:fail@1", "collector").on(EventLog(), Part.KAFKA)
    acknowledged: Future[None] = Future()
    received = hurting.append(acknowledged)
    assert not received.done(), "nothing is acknowledged yet"
    acknowledged.set_result(None)
    with pytest.raises(UnavailableError):
        received.result(timeout=60)


def test_a_point_is_named_by_the_method_of_a_port() -> None:
    assert before(SegmentStore.apply, Action.KILL, 17) == "speed.before_apply:kill@17"
    assert after(Warehouse.archive, Action.FAIL) == "batch.after_archive:fail@1"
    for calls in CALLS.values():
        for text in (moment(call, Action.STOP) for call in calls for moment in (before, after)):
            assert [str(point) for point in parse(text)] == [text]


@pytest.mark.parametrize("process", CALLS)
def test_no_two_calls_of_a_process_have_one_name(process: str) -> None:
    names = [call.__name__ for call in CALLS[process]]
    assert len(set(names)) == len(names), "the variable could not tell them apart"
