"""When the local stack starts again what died, and how it names the reason of a death."""

from pathlib import Path

import pytest

from jobs.local_stack.child import RUNNING_POLICY, STARTING_POLICY, Child
from jobs.local_stack.unit import Kind, Unit


def test_a_child_that_ran_is_restarted_without_limit_with_bounded_waits() -> None:
    delays = [RUNNING_POLICY.delay_seconds(deaths) for deaths in range(1, 100)]
    assert delays[:3] == [0.2, 0.4, 0.8]
    assert delays[10:] == [20.0] * 89


def test_what_never_came_up_is_given_up_after_three_deaths() -> None:
    assert [STARTING_POLICY.delay_seconds(deaths) for deaths in (1, 2, 3)] == [0.2, 0.4, None]


@pytest.mark.parametrize(
    ("log", "words"),
    [
        ("", "its log is empty"),
        ("starting\nready\n", "ready"),
        ("FATAL:  the database system is broken.\nbye\n", "FATAL:  the database system is broken"),
        (
            "ERROR namenode: Failed to start namenode.\njava.net.BindException: Port in use: 127.0.0.1:1\n"
            "\tat java.base/sun.nio.ch.Net.bind\nINFO SHUTDOWN_MSG\n",
            "java.net.BindException: Port in use: 127.0.0.1:1",
        ),
    ],
)
def test_the_reason_of_a_death_is_the_last_line_of_the_log_that_names_an_error(
    tmp_path: Path, log: str, words: str
) -> None:
    path = tmp_path / "server.log"
    path.write_text(log)
    child = Child(Unit("server", Kind.SERVER, ("server",), {}), path, tmp_path)
    assert child.last_words() == words
