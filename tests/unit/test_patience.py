import threading

import pytest

from ingestion.contract.backoff import QUICK
from ingestion.contract.unavailable import Part, UnavailableError
from jobs.resilience.patience import try_again, wait_for


class Work:
    """Fails some times and then answers."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.tries = 0

    def __call__(self) -> int:
        self.tries += 1
        if self.tries <= self.failures:
            raise UnavailableError(Part.KAFKA, f"failure {self.tries}")
        return self.tries


BeforeWait = list[tuple[str, int]]


def test_what_failed_is_done_again_and_somebody_is_told_before_each_wait() -> None:
    before_wait: BeforeWait = []
    waits: list[float] = []
    work = Work(3)
    answer = try_again(
        work,
        attempts=5,
        before_wait=lambda error, failures, seconds: before_wait.append((str(error), failures)),
        backoff=QUICK,
        sleep=waits.append,
    )
    assert (answer, before_wait) == (4, [("failure 1", 1), ("failure 2", 2), ("failure 3", 3)])
    assert all(low <= wait <= 2 * low for low, wait in zip((0.05, 0.1, 0.2), waits, strict=True))


def test_the_last_failure_is_raised_as_it_is() -> None:
    with pytest.raises(UnavailableError, match="failure 2"):
        try_again(Work(9), attempts=2, before_wait=lambda *_: None, sleep=lambda _: None)


def test_an_error_of_another_kind_is_not_tried_again() -> None:
    def work() -> None:
        raise ValueError("wrong")

    with pytest.raises(ValueError, match="wrong"):
        try_again(work, attempts=5, before_wait=lambda *_: pytest.fail("told"), sleep=lambda _: None)


def test_a_process_waits_for_its_servers_until_it_is_asked_to_stop() -> None:
    stopping = threading.Event()
    assert wait_for(Work(2), stopping=stopping, before_wait=lambda *_: None) == 3
    work = Work(10**9)
    assert wait_for(work, stopping=stopping, before_wait=lambda *_: stopping.set()) is None
    assert work.tries <= 2
    assert wait_for(lambda: pytest.fail("tried"), stopping=stopping, before_wait=lambda *_: None) is None
