"""Named points at which a process harms itself, so that faults can be placed exactly. Off, and free, when unset.

`VIEWLEDGER_FAILPOINT=speed.after_apply:kill@17`: the 17th time the speed process has applied chunks, it is killed.
The points are the calls of a process's ports, since processes interact only through them; each call has a `before_`
and an `after_` point, and several points are separated by commas. The `after_` point of a call that returns a future is
reached when the future is done and before its callbacks run.
"""

import logging
import os
import re
import signal
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NoReturn, TypeVar, cast

from batch_layer.archive.ports import SpeedCut
from batch_layer.maintaining.ports import Compaction, Erasure, Expiry, TableUpkeep
from batch_layer.reconciling.ports import ReconciliationStore
from batch_layer.run.ports import Warehouse
from batch_layer.versions.ports import VersionStore
from ingestion.contract.unavailable import Part, UnavailableError
from ingestion.ports import EventLog
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.settings.declared.machine import FAILPOINT
from speed_layer.ports import DeadLetters, Log, SegmentStore

logger = logging.getLogger(__name__)

VARIABLE = FAILPOINT.name
HANG_SECONDS = 45.0

Call = Callable[..., Any]
"""A method of a port, in the port's type: `Warehouse.archive`."""
Port = TypeVar("Port")

CALLS: Mapping[str, tuple[Call, ...]] = {
    "collector": (EventLog.append,),
    "speed": (Log.poll, SegmentStore.look, SegmentStore.reset, DeadLetters.send, SegmentStore.apply),
    "batch": (
        SpeedCut.cut,
        VersionStore.begin,
        Warehouse.open_branch,
        Warehouse.archive,
        Warehouse.judge,
        Warehouse.derive,
        Warehouse.check,
        Warehouse.contents,
        Warehouse.stage_counts,
        Warehouse.tag,
        VersionStore.publish,
        Warehouse.finish,
        SpeedCut.prune,
        ReconciliationStore.record,
    ),
    "maintain": (
        Erasure.oldest_received,
        Erasure.choose,
        Erasure.remove,
        Erasure.read_back,
        Erasure.tag_removal,
        Erasure.finish_removal,
        TableUpkeep.repair,
        Expiry.expire,
        TableUpkeep.drop_tags,
        TableUpkeep.expire_snapshots,
        TableUpkeep.remove_orphans,
        Expiry.roll_up_next,
        Compaction.files,
        Compaction.rewrite,
        Compaction.compare,
        Compaction.tag,
        Compaction.finish,
    ),
}
"""Process → the calls of its ports, in the order in which they happen."""


class Action(StrEnum):
    """The action of the process on itself."""

    KILL = "kill"
    """Send SIGKILL."""
    STOP = "stop"
    """Send SIGSTOP."""
    HANG = "hang"
    """Block this call for HANG_SECONDS, while other threads continue."""
    FAIL = "fail"
    """Raise the error of the port for an unreachable server."""


_POINT = re.compile(r"(\w+)\.(before|after)_(\w+):(\w+)@([1-9]\d{0,8})", re.ASCII)


@dataclass(frozen=True)
class Failpoint:
    """An action at a call."""

    process: str
    moment: str
    call: str
    action: Action
    hit: int
    """1 is the first time the process makes the call."""

    def __str__(self) -> str:
        return f"{self.process}.{self.moment}_{self.call}:{self.action}@{self.hit}"


Moment = Callable[[Call, Action, int], str]
"""`before` or `after`."""


def before(call: Call, action: Action, hit: int = 1) -> str:
    """Return the point before a call, in the variable's notation."""
    return str(Failpoint(_process_of(call), "before", call.__name__, action, hit))


def after(call: Call, action: Action, hit: int = 1) -> str:
    """Return the point after a call, in the variable's notation."""
    return str(Failpoint(_process_of(call), "after", call.__name__, action, hit))


def _process_of(call: Call) -> str:
    return next(process for process, calls in CALLS.items() if call in calls)


def parse(text: str) -> tuple[Failpoint, ...]:
    """Parse the variable's value; raise CommandError(BAD_INPUT) that says what is allowed."""
    return tuple(_parse_one(part.strip()) for part in text.split(",")) if text else ()


def _parse_one(text: str) -> Failpoint:
    found = _POINT.fullmatch(text)
    if not found:
        _refuse(text, "it must be like speed.after_apply:kill@17")
    process, moment, call, action, hit = found.groups()
    if process not in CALLS:
        _refuse(text, f"processes are {', '.join(CALLS)}")
    calls = [each.__name__ for each in CALLS[process]]
    if call not in calls:
        _refuse(text, f"calls of {process} are {', '.join(calls)}")
    if action not in list(Action):
        _refuse(text, f"actions are {', '.join(Action)}")
    return Failpoint(process, moment, call, Action(action), int(hit))


def _refuse(text: str, allowed: str) -> NoReturn:
    raise CommandError(f"{VARIABLE} has {text!r}; {allowed}", ExitCode.BAD_INPUT)


class Failpoints:
    """The points of one process, from its environment."""

    def __init__(self, process: str, environ: Mapping[str, str]) -> None:
        self._points = tuple(each for each in parse(FAILPOINT.read_if_set(environ) or "") if each.process == process)
        self._calls: dict[str, int] = {}
        """The number of this process's calls so far, across ports and connections."""
        if self._points:
            logger.warning("failpoints are set", extra={"fields": {"points": FAILPOINT.read(environ)}})

    def on(self, port: Port, part: Part) -> Port:
        """Return the port itself, or a wrapper that acts at the process's points; `part` is the server it talks to."""
        points = [each for each in self._points if hasattr(port, each.call)]
        return cast(Port, _Hurting(port, points, self._calls, part)) if points else port


class _Hurting:
    def __init__(self, port: object, points: list[Failpoint], calls: dict[str, int], part: Part) -> None:
        self._port, self._points, self._calls, self._part = port, points, calls, part

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._port, name)
        points = [each for each in self._points if each.call == name]
        return self._surrounded(found, name, points) if points else found

    def _surrounded(self, call: Callable[..., Any], name: str, points: list[Failpoint]) -> Callable[..., Any]:
        def surrounded(*args: Any, **kwargs: Any) -> Any:
            number = self._calls[name] = self._calls.get(name, 0) + 1
            now = [each for each in points if each.hit == number]
            self._reach([each for each in now if each.moment == "before"])
            answer = call(*args, **kwargs)
            after = [each for each in now if each.moment == "after"]
            if after and isinstance(answer, Future):
                return self._after(answer, after)
            self._reach(after)
            return answer

        return surrounded

    def _after(self, answer: "Future[Any]", points: list[Failpoint]) -> "Future[Any]":
        outcome: Future[Any] = Future()

        def tell(done: "Future[Any]") -> None:
            try:
                self._reach(points)
                outcome.set_result(done.result())
            except Exception as error:  # noqa: BLE001  whatever it is, it is the answer
                outcome.set_exception(error)

        answer.add_done_callback(tell)
        return outcome

    def _reach(self, points: list[Failpoint]) -> None:
        for point in points:
            name = f"{point.process}.{point.moment}_{point.call}"
            if point.action is Action.FAIL:
                raise UnavailableError(self._part, f"failpoint {name}")
            if point.action is Action.HANG:
                time.sleep(HANG_SECONDS)
                continue
            os.kill(os.getpid(), signal.SIGKILL if point.action is Action.KILL else signal.SIGSTOP)
