"""An upper bound for every wait on PostgreSQL, enforced by the client: a server that hangs enforces none."""

import select
import time
from typing import Any

import psycopg2
from psycopg2 import extensions


def bound_waits(seconds: float) -> None:
    """Make every call of psycopg2 in this process end after `seconds`, including connecting.

    A call that takes longer raises psycopg2.OperationalError and its connection is closed. Not for processes that use
    COPY, which does not support this.
    """

    def wait(connection: Any) -> None:
        give_up_at = time.monotonic() + seconds
        while (state := connection.poll()) != extensions.POLL_OK:
            waiting = select.poll()
            waiting.register(connection.fileno(), select.POLLIN if state == extensions.POLL_READ else select.POLLOUT)
            if not waiting.poll(max(0.0, give_up_at - time.monotonic()) * 1000):
                raise psycopg2.OperationalError(f"no answer within {seconds:g} s")

    extensions.set_wait_callback(wait)
