"""Signals that ask a process to stop, as an event that its loop looks at."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

SIGNALS = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def stopping_on_signals() -> Iterator[threading.Event]:
    """Turn SIGTERM and Ctrl-C into an event, so that the work at hand is finished."""
    stopping = threading.Event()
    before = {number: signal.getsignal(number) for number in SIGNALS}
    heed_signals(stopping)
    try:
        yield stopping
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def heed_signals(stopping: threading.Event) -> None:
    """Let the signals set the event, also after a library has taken one of them for itself."""
    for number in SIGNALS:
        signal.signal(number, lambda *_: stopping.set())
