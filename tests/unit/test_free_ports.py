"""Ports chosen for servers that do not listen yet belong to one chooser only."""

import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from jobs.child.process import bound_to_parent
from jobs.local_stack import ports
from jobs.local_stack.ports import some_free_ports

CHOOSE = "from jobs.local_stack.ports import some_free_ports; print(*some_free_ports(5)); input()"


def test_two_choices_of_one_process_have_no_port_in_common() -> None:
    assert not set(some_free_ports(16)) & set(some_free_ports(16))


def test_a_port_of_another_process_is_free_once_that_has_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(ports, "_reserved", set())
    ports._reservations.cache_clear()
    other = subprocess.Popen(
        [sys.executable, "-c", CHOOSE],
        env={"TMPDIR": str(tmp_path), "PYTHONPATH": ":".join(sys.path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=bound_to_parent(signal.SIGKILL),
    )
    assert other.stdout
    chosen = [int(word) for word in other.stdout.readline().split()]
    assert len(chosen) == 5
    assert not any(ports._reserves(port) for port in chosen)
    other.communicate("\n")
    assert all(ports._reserves(port) for port in chosen)
    ports._reservations.cache_clear()
