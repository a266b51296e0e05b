import socket
import time

import psycopg2
import pytest
from psycopg2 import extensions

from jobs.resilience.postgres_waits import bound_waits


def test_a_server_that_accepts_connections_and_answers_nothing_is_given_up_in_time() -> None:
    bound_waits(0.3)
    try:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            started = time.monotonic()
            with pytest.raises(psycopg2.OperationalError, match=r"no answer within 0\.3 s"):
                psycopg2.connect(f"postgresql://nobody@127.0.0.1:{silent.getsockname()[1]}/nothing")
            assert time.monotonic() - started < 5
    finally:
        extensions.set_wait_callback(None)
