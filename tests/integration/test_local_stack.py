import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg2
import pytest
import redis

from jobs.child.process import bound_to_parent
from jobs.commands import status
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.local_stack.ports import free_ports
from jobs.local_stack.stack import LocalStack, read_report, temporary_folder
from jobs.settings.stack_in_use import is_running
from jobs.settings.state_home import PROJECT

DEADLINE_SECONDS = 60.0


@pytest.fixture
def folder() -> Iterator[Path]:
    with temporary_folder() as path:
        yield path / "stack"


def eventually(holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def alive(pid: int) -> bool:
    """Whether a process runs; one that ended and was not yet collected does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def pids(report: dict[str, object]) -> list[int]:
    children = report["children"]
    assert isinstance(children, dict)
    return [child["pid"] for child in children.values() if child["pid"]]


def test_every_part_of_the_stack_answers_and_status_says_so(stack: LocalStack) -> None:
    answer = status.status(stack.folder)
    assert answer["up"]
    servers = {name for name, child in answer["children"].items() if child["state"] == "ready"}
    assert servers == {"kafka", "redis", "postgres", "namenode", "datanode"}
    lines = status.table(answer, time.time()).splitlines()
    assert lines[0] == f"stack {stack.folder.name}: ready"
    assert any(line.split()[:2] == ["redis", "ready"] for line in lines)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a server another account")
def test_no_third_party_server_runs_as_root(stack: LocalStack) -> None:
    assert all(os.stat(f"/proc/{pid}").st_uid != 0 for pid in pids(stack.report()))


def test_settings_and_secrets_are_readable_by_their_owner_only(stack: LocalStack) -> None:
    for name in ("stack.env", "secrets.json"):
        assert (stack.folder / name).stat().st_mode & 0o077 == 0
    assert "postgresql://" not in (stack.folder / "stack.json").read_text()


def test_a_server_that_is_killed_is_started_again_and_kept_what_it_acknowledged(folder: Path) -> None:
    with LocalStack.start(folder, servers=("redis",)) as stack:
        client = redis.Redis.from_url(stack.environment["VIEWLEDGER_REDIS_URL"])
        client.set("kept", 1)
        # `everysec` writes at once and syncs later: a killed process loses nothing, only a power cut can.
        killed = stack.kill("redis")
        assert stack.wait_ready("redis", not_pid=killed) != killed
        assert client.get("kept") == b"1"
        assert stack.report()["children"]["redis"]["restarts"] == 1


@pytest.mark.parametrize("is_frozen", [False, True])
def test_a_part_can_be_restarted_also_one_that_heeds_no_signal(folder: Path, is_frozen: bool) -> None:
    with LocalStack.start(folder, servers=("redis",)) as stack:
        before = stack.pid("redis")
        assert before is not None
        redis.Redis.from_url(stack.environment["VIEWLEDGER_REDIS_URL"]).set("kept", 1)
        if is_frozen:
            stack.kill("redis", signal.SIGSTOP)
        assert stack.restart("redis") != before
        assert redis.Redis.from_url(stack.environment["VIEWLEDGER_REDIS_URL"]).get("kept") == b"1"
        assert not alive(before)


def test_a_stack_that_is_stopped_and_started_again_has_its_rows_and_leaves_no_process(folder: Path) -> None:
    with LocalStack.start(folder, servers=("postgres",)) as stack:
        running = pids(stack.report())
        with psycopg2.connect(stack.environment["VIEWLEDGER_POSTGRES_URL"]) as connection:
            connection.cursor().execute("create table kept as select 7 as number")
        connection.close()
    assert not any(alive(pid) for pid in running)
    assert not is_running(folder)
    with LocalStack.start(folder, servers=("postgres",)) as stack:
        connection = psycopg2.connect(stack.environment["VIEWLEDGER_POSTGRES_URL"])
        cursor = connection.cursor()
        cursor.execute("select number from kept")
        assert cursor.fetchone() == (7,)
        connection.close()


def test_nothing_survives_a_supervisor_that_is_killed(folder: Path) -> None:
    stack = LocalStack.start(folder, servers=("redis", "postgres"))
    running = pids(stack.report())
    assert len(running) == 2
    assert stack.supervisor is not None
    stack.supervisor.kill()
    stack.supervisor.wait()
    assert eventually(lambda: not any(alive(pid) for pid in running))
    assert status.status(folder)["state"] == "not running"
    assert not status.status(folder)["up"]


def test_a_stack_ends_with_the_process_that_started_it(folder: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from jobs.local_stack.stack import LocalStack\n"
        "stack = LocalStack.start(Path(sys.argv[1]), servers=('redis',)); print('up', flush=True); time.sleep(600)"
    )
    starter = subprocess.Popen(
        [sys.executable, "-c", script, str(folder)],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=bound_to_parent(signal.SIGKILL),
    )
    try:
        assert starter.stdout is not None
        assert starter.stdout.readline() == "up\n"
        report = read_report(folder)
        running = [*pids(report), int(report["supervisor_pid"])]
    finally:
        starter.send_signal(signal.SIGKILL)
        starter.communicate()
    assert eventually(lambda: not any(alive(pid) for pid in running))


def test_a_port_that_is_taken_is_named_with_a_remedy(folder: Path) -> None:
    ports = free_ports()
    with socket.socket() as other:
        other.bind(("127.0.0.1", ports.redis))
        other.listen()
        with pytest.raises(
            CommandError, match=rf"port is taken .*{ports.redis} \(redis\).*VIEWLEDGER_PORT_BASE"
        ) as caught:
            LocalStack.start(folder, ports=ports, servers=("redis",))
    assert caught.value.code is ExitCode.UNAVAILABLE


def test_two_stacks_cannot_run_in_one_folder(folder: Path) -> None:
    with (
        LocalStack.start(folder, servers=("redis",)),
        pytest.raises(CommandError, match="a stack already runs in"),
    ):
        LocalStack.start(folder, servers=("redis",))


def test_a_part_that_cannot_start_ends_the_stack_with_its_reason(folder: Path) -> None:
    with LocalStack.start(folder, servers=("redis",)):
        pass
    for path in (folder / "redis" / "appendonlydir").iterdir():
        path.write_text("spoilt")
    with pytest.raises(CommandError, match=r"^the local stack did not start: redis ended with code 1 3 times"):
        LocalStack.start(folder, servers=("redis",))
    assert not is_running(folder)


def test_an_unknown_server_or_process_is_refused(folder: Path) -> None:
    with pytest.raises(CommandError, match="unknown server 'oracle'"):
        LocalStack.start(folder, servers=("oracle",))
    with pytest.raises(CommandError, match="unknown process 'lunch'"):
        LocalStack.start(folder, servers=(), processes=("lunch",))


def test_a_running_stack_can_be_found_by_its_folder(stack: LocalStack, folder: Path) -> None:
    found = LocalStack.attach(stack.folder)
    assert found is not None
    assert found.environment == stack.environment
    assert LocalStack.attach(folder) is None


def test_no_test_can_stop_a_server_that_the_others_use(stack: LocalStack) -> None:
    for stops in (lambda: stack.kill("redis"), lambda: stack.restart("redis"), stack.stop):
        with pytest.raises(AssertionError, match="other tests use this server"):
            stops()
