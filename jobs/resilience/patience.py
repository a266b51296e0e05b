"""Retry work that failed because a server does not answer, with the waits of `Backoff`."""

import random
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    sleep_using_event,
    stop_after_attempt,
    stop_when_event_set,
)

from ingestion.contract.backoff import QUICK, Backoff
from ingestion.contract.unavailable import UnavailableError

Answer = TypeVar("Answer")
BeforeWait = Callable[[Exception, int, float], None]
"""Called before each wait: the error, the number of failed tries, the seconds to wait."""

BETWEEN_RUNS = Backoff(4.0, 30.0)
"""For a whole run that is retried: a restarted server needs some seconds."""


def try_again(
    work: Callable[[], Answer],
    *,
    attempts: int,
    before_wait: BeforeWait,
    backoff: Backoff = BETWEEN_RUNS,
    sleep: Callable[[float], None] = time.sleep,
) -> Answer:
    """Do the work, up to `attempts` times; raise the last failure unchanged."""
    retrying = Retrying(
        retry=retry_if_exception_type(UnavailableError),
        stop=stop_after_attempt(attempts),
        wait=_waits(backoff),
        sleep=sleep,
        before_sleep=_called_before_wait(before_wait),
        reraise=True,
    )
    return retrying(work)


def wait_for(work: Callable[[], Answer], *, stopping: threading.Event, before_wait: BeforeWait) -> Answer | None:
    """Do the work until it succeeds; return None if asked to stop meanwhile."""
    retrying = Retrying(
        retry=retry_if_exception_type(UnavailableError),
        stop=stop_when_event_set(stopping),
        wait=_waits(QUICK),
        sleep=sleep_using_event(stopping),
        before_sleep=_called_before_wait(before_wait),
        retry_error_callback=lambda _: None,
    )
    return None if stopping.is_set() else retrying(work)


def _waits(backoff: Backoff) -> Callable[[RetryCallState], float]:
    jitter = random.Random()  # noqa: S311 (spreads retries, guards nothing)
    return lambda state: backoff.seconds(state.attempt_number, jitter.random)


def _called_before_wait(before_wait: BeforeWait) -> Callable[[RetryCallState], None]:
    def tell(state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, Exception) and state.next_action:
            before_wait(error, state.attempt_number, state.next_action.sleep)

    return tell
