"""Stop calling a server that does not answer, so that callers do not queue up for it and it can recover.

It wraps the calls of a port where a process is wired together, like failpoints: the layers do not know of it.
"""

import functools
import inspect
import random
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import Any, Concatenate, TypeVar, cast

from ingestion.contract.backoff import QUICK, Backoff
from ingestion.contract.unavailable import Part, UnavailableError

Port = TypeVar("Port")


class BreakerState(IntEnum):
    """The state of the breaker; the numbers are those of the metric."""

    CLOSED = 0
    """Calls are made."""
    HALF_OPEN = 1
    """The pause is over: one call is made to probe, the others fail at once."""
    OPEN = 2
    """Calls fail at once."""


class CircuitBreaker:
    """Opens after `failures_max` failures in a row and lets one call through after each pause.

    Only UnavailableError of this part counts, and a refused call raises it, too: for the caller an open breaker looks
    like a server that does not answer. Any other outcome is an answer. Thread-safe; a call is made without the lock.
    """

    def __init__(
        self,
        part: Part,
        *,
        name: str | None = None,
        failures_max: int = 3,
        backoff: Backoff = QUICK,
        monotonic: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """`name` distinguishes several breakers of one part in messages and metrics; pauses grow with the failures."""
        self.name = name or part.value
        self._part = part
        self._failures_max = failures_max
        self._backoff = backoff
        self._monotonic = monotonic
        self._chance = chance
        self._lock = threading.Lock()
        self._failures = 0
        self._closed_at = 0.0
        self._is_probing = False
        self._reason = ""

    @property
    def state(self) -> BreakerState:
        """Return the state for a call made now."""
        with self._lock:
            return self._state()

    def on(self, port: Port, *calls: Callable[Concatenate[Port, ...], Any]) -> Port:
        """Return the port with calls of these methods through the breaker, coroutines or plain ones.

        They are named as methods of its type (`Store.apply`), so that a wrong one is a type error.
        """
        return cast(Port, _Guarded(port, frozenset(call.__name__ for call in calls), self))

    @contextmanager
    def guarding(self) -> Iterator[None]:
        """Wrap one call; raise UnavailableError at once while the breaker is open."""
        self._enter()
        try:
            yield
        except UnavailableError as error:
            if error.part is self._part:
                self._failed(str(error))
            else:
                self._answered()  # by an error of another kind, as below
            raise
        except Exception:
            self._answered()
            raise
        except BaseException:
            self._abandoned()
            raise
        self._answered()

    def _state(self) -> BreakerState:
        if self._failures < self._failures_max:
            return BreakerState.CLOSED
        return BreakerState.OPEN if self._is_probing or self._monotonic() < self._closed_at else BreakerState.HALF_OPEN

    def _enter(self) -> None:
        with self._lock:
            state = self._state()
            if state is BreakerState.OPEN:
                raise UnavailableError(
                    self._part, f"{self.name} did not answer; the circuit breaker is open: {self._reason}"
                )
            self._is_probing = state is BreakerState.HALF_OPEN

    def _failed(self, reason: str) -> None:
        with self._lock:
            self._failures += 1
            self._reason = reason
            self._is_probing = False
            self._closed_at = self._monotonic() + self._backoff.seconds(self._failures, self._chance)

    def _answered(self) -> None:
        with self._lock:
            self._failures = 0
            self._is_probing = False

    def _abandoned(self) -> None:
        """Ignore a call that was cancelled: it proves nothing about the server."""
        with self._lock:
            self._is_probing = False


class _Guarded:
    def __init__(self, port: object, calls: Collection[str], breaker: CircuitBreaker) -> None:
        self._port, self._calls, self._breaker = port, calls, breaker

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._port, name)
        if name not in self._calls:
            return found
        guarded = _guarded_coroutine if inspect.iscoroutinefunction(found) else _guarded
        surrounded = functools.wraps(found)(guarded(found, self._breaker))
        self.__dict__[name] = surrounded  # found without this method from now on
        return surrounded


def _guarded(call: Callable[..., Any], breaker: CircuitBreaker) -> Callable[..., Any]:
    def guarded(*args: Any, **kwargs: Any) -> Any:
        with breaker.guarding():
            return call(*args, **kwargs)

    return guarded


def _guarded_coroutine(call: Callable[..., Any], breaker: CircuitBreaker) -> Callable[..., Any]:
    async def guarded(*args: Any, **kwargs: Any) -> Any:
        with breaker.guarding():
            return await call(*args, **kwargs)

    return guarded
