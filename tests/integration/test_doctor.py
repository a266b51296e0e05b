import json
import re
import signal
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from faults.waiting import until
from jobs.checkup.checks import CheckVerdict
from jobs.checkup.machine import ports_rows
from jobs.checkup.pipeline import pipeline_rows
from jobs.checkup.servers import clock_row, redis_setting_rows, server_rows
from jobs.commands import doctor
from jobs.exit_codes import ExitCode
from jobs.local_stack.ports import Ports, free_ports
from jobs.local_stack.profile import Profile
from jobs.local_stack.stack import LocalStack, temporary_folder

GOOD_REDIS: dict[str, object] = {
    "maxmemory_policy": "noeviction",
    "aof_enabled": 1,
    "maxmemory": 1000,
    "used_memory": 450,
}


def test_every_row_of_a_fresh_stack_is_ok(stack_environment: Mapping[str, str]) -> None:
    rows = server_rows(stack_environment)
    assert [row for row in rows if row.verdict is not CheckVerdict.OK] == []
    assert {"topics", "kafka log", "clock kafka", "redis eviction", "redis persistence", "postgres", "hdfs"} <= {
        row.subject for row in rows
    }


def test_a_server_that_is_down_spoils_its_own_rows_only(stack: LocalStack) -> None:
    nobody = f"redis://127.0.0.1:{stack.ports.api}/0"
    rows = server_rows({**stack.environment, "VIEWLEDGER_REDIS_URL": nobody})
    assert [row.subject for row in rows if row.verdict is CheckVerdict.BAD] == ["redis"]


@pytest.mark.parametrize(
    ("change", "subject", "verdict"),
    [
        ({"maxmemory_policy": "allkeys-lru"}, "redis eviction", CheckVerdict.BAD),
        ({"aof_enabled": 0}, "redis persistence", CheckVerdict.WARN),
        ({"maxmemory": 500}, "redis memory", CheckVerdict.WARN),
    ],
)
def test_a_redis_that_could_lose_counts_is_reported_with_a_remedy(
    change: dict[str, object], subject: str, verdict: CheckVerdict
) -> None:
    assert all(row.verdict is CheckVerdict.OK for row in redis_setting_rows(GOOD_REDIS))
    (found,) = [row for row in redis_setting_rows(GOOD_REDIS | change) if row.verdict is not CheckVerdict.OK]
    assert (found.subject, found.verdict) == (subject, verdict)
    assert found.remedy


def test_a_clock_is_judged_by_how_far_it_is_outside_the_time_of_the_question() -> None:
    now = time.time()
    verdicts = [clock_row("kafka", now + off, now - 1, now + 1).verdict for off in (0, 1, 3, -3, 90, -90)]
    assert verdicts == [
        CheckVerdict.OK,
        CheckVerdict.OK,
        CheckVerdict.WARN,
        CheckVerdict.WARN,
        CheckVerdict.BAD,
        CheckVerdict.BAD,
    ]


def test_the_command_answers_as_json_and_by_its_exit_code(
    stack_environment: Mapping[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in stack_environment.items():
        monkeypatch.setenv(name, value)
    code = doctor.run(as_json=True)
    rows = json.loads(capsys.readouterr().out)
    assert {"subject", "verdict", "found", "remedy"} == set(rows[0])
    bad = [row for row in rows if row["verdict"] == "bad"]
    assert code is (ExitCode.FAILED if bad else ExitCode.OK)
    # another program of this machine may hold the fixed block, and other tests may have left counts and runs
    assert {row["subject"] for row in bad} <= {"ports", "speed", "batch"}
    assert {"collector", "speed", "batch", "billing"} <= {row["subject"] for row in rows}


def test_a_speed_process_that_hangs_is_found_by_its_silence_and_helped_by_a_restart() -> None:
    with temporary_folder() as home:
        servers = ("kafka", "redis", "postgres")
        with LocalStack.start(home / "stack", servers=servers, processes=("speed", "collector")) as stack:
            until(lambda: set(verdicts(stack).values()) == {CheckVerdict.OK}, 60, "every partition is counted")
            for name in ("speed", "collector"):
                stack.kill(name, signal.SIGSTOP)
            until(lambda: verdicts(stack)["speed"] is CheckVerdict.BAD, 60, "the silence is too long")
            rows = {row.subject: row for row in pipeline_rows(stack.environment)}
            assert "12 of 12 partitions are behind" in rows["speed"].found
            assert "./viewledger restart speed" in rows["speed"].remedy
            assert rows["collector"].verdict is CheckVerdict.BAD
            stack.restart("speed")
            stack.restart("collector")
            until(lambda: set(verdicts(stack).values()) == {CheckVerdict.OK}, 60, "both work again")


def verdicts(stack: LocalStack) -> dict[str, CheckVerdict]:
    return {row.subject: row.verdict for row in pipeline_rows(stack.environment)}


def test_the_ports_are_those_of_the_running_stack_wherever_they_are(tmp_path: Path) -> None:
    ports = Ports(*range(23_000, 23_014))
    (row,) = ports_rows({}, running=Profile(tmp_path, ports).environment())
    assert row.verdict is CheckVerdict.OK
    shown = {int(word) for word in re.findall(r"\d{5}", row.found)}
    assert {ports.api, ports.kafka, ports.redis, ports.postgres, ports.namenode} <= shown <= set(range(23_000, 23_014))
    (row,) = ports_rows({"VIEWLEDGER_PORT_BASE": str(free_ports().api)}, running={})
    assert "17070" not in row.found
