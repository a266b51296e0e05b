"""The broker's time as acknowledgements tell it."""

from datetime import UTC, datetime, timedelta

from ingestion.broker_clock import BrokerClock

APPENDED = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
APPENDED_MS = int(APPENDED.timestamp() * 1000)


class Elapsed:
    """Seconds that pass when the test says so."""

    seconds = 40.0

    def __call__(self) -> float:
        return self.seconds


def test_nothing_is_known_before_the_first_acknowledgement_that_has_a_time() -> None:
    clock = BrokerClock(Elapsed())
    assert clock.now() is None
    clock.heard(-1)
    assert clock.now() is None


def test_time_goes_on_from_the_newest_acknowledgement() -> None:
    elapsed = Elapsed()
    clock = BrokerClock(elapsed)
    clock.heard(APPENDED_MS)
    elapsed.seconds += 2.5
    assert clock.now() == APPENDED + timedelta(seconds=2.5)
    clock.heard(APPENDED_MS - 60_000)  # the broker's clock was set back
    assert clock.now() == APPENDED - timedelta(seconds=60)
