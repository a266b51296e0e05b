"""`receipts check` without servers: what is printed, which exit code, and how much memory a large file takes."""

import errno
import io
import json
import os
import tracemalloc
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from batch_layer.settled.spark_receipts import Receipted, Wrong
from ingestion.contract.version import PublishedVersion
from ingestion.file_receipts import receipts_in
from ingestion.intake import AdmittedEvent
from ingestion.jwt_receipts import public_key_set
from jobs.commands import receipts
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from tests.billing_fakes import published
from tests.ingestion_fakes import NOW
from tests.receipt_makers import KEYS, READ_SIGNED, line_of

SETTLED_UNTIL = NOW + timedelta(hours=1)


@dataclass
class FakeLookup:
    """Knows the digests that are in the log, and what is wrong with some of them."""

    wrong_ids: dict[str, Wrong] = field(default_factory=dict)
    asked: list[int] = field(default_factory=list)
    days: set[date] = field(default_factory=set)

    def wrong(self, receipted: Sequence[Receipted], received: Collection[date]) -> list[tuple[int, Wrong]]:
        self.asked.append(len(receipted))
        self.days |= set(received)
        problems = [(at, self.wrong_ids.get(each.event_id)) for at, each in enumerate(receipted)]
        return [(at, problem) for at, problem in problems if problem is not None]


@dataclass
class Check:
    """The command on a fake of the archive."""

    folder: Path
    lookup: FakeLookup

    def run(self, *files: Path, as_json: bool = False) -> ExitCode:
        keys = self.folder / "keys.json"
        keys.write_bytes(public_key_set(KEYS))
        return receipts.check(files=files, keys=keys, as_json=as_json)

    def file(self, *lines: bytes, name: str = "receipts.jsonl") -> Path:
        (self.folder / name).write_bytes(b"".join(lines))
        return self.folder / name


@pytest.fixture
def check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Check:
    found = Check(tmp_path, FakeLookup())
    version = replace(published(), version=3, watermarks=(SETTLED_UNTIL,))

    @contextmanager
    def opened(_chosen: object) -> Iterator[tuple[PublishedVersion, FakeLookup]]:
        yield version, found.lookup

    (tmp_path / "jars").mkdir()
    (tmp_path / "jars" / "iceberg-spark-runtime-0.jar").touch()
    for name, value in {
        "KAFKA_BOOTSTRAP": "127.0.0.1:1", "REDIS_URL": "redis://127.0.0.1:1/0", "HDFS_URL": "hdfs://127.0.0.1:1",
        "POSTGRES_URL": "postgresql://nobody@127.0.0.1:1/none", "STATE_DIR": str(tmp_path),
        "JARS": str(tmp_path / "jars"), "TRAITS_KEY": "ab" * 32,
    }.items():  # fmt: skip
        monkeypatch.setenv(f"VIEWLEDGER_{name}", value)
    monkeypatch.setattr(receipts, "open_receipt_lookup", opened)
    return found


def event(number: int) -> AdmittedEvent:
    return AdmittedEvent(f"00000000-0000-4000-8000-{number:012}", b"v", b"%d" % number, NOW)


def test_events_that_are_all_there_end_with_0(check: Check, capsys: pytest.CaptureFixture[str]) -> None:
    file = check.file(line_of([event(1), event(2)]), line_of([event(3)], with_paths=True))
    assert check.run(file) is ExitCode.OK
    assert "version 3: 3 receipted events: 3 in the log with one verdict, 0 not" in capsys.readouterr().out
    assert check.lookup.days == {NOW.date()}


@pytest.mark.parametrize("problem", [each for each in Wrong if each is not Wrong.REMOVED])
def test_an_event_that_is_wrong_is_named_with_the_place_and_the_instant_of_its_receipt(
    check: Check, capsys: pytest.CaptureFixture[str], problem: Wrong
) -> None:
    check.lookup.wrong_ids[event(2).event_id] = problem
    file = check.file(line_of([event(1)]), line_of([event(2)]))
    with pytest.raises(CommandError) as refused:
        check.run(file)
    assert refused.value.code is ExitCode.DIFFERENCE
    (named, _) = capsys.readouterr().out.splitlines()
    assert named.startswith(f"{file}, line 2: event {event(2).event_id}, receipted at 2026-11-23T10:00:00.000Z: ")
    assert "viewledger_check_differs" in (check.folder / "metrics" / "check-receipts.prom").read_text()
    with pytest.raises(CommandError):
        check.run(file, as_json=True)
    document = json.loads(capsys.readouterr().out)
    assert (document["wrong"], document["in_log"]) == (1, 1)
    assert document["wrong_events"][0]["problem"] == problem


def test_an_event_that_the_version_does_not_reach_is_not_settled_yet(
    check: Check, capsys: pytest.CaptureFixture[str]
) -> None:
    check.lookup.wrong_ids = {event(1).event_id: Wrong.NO_VERDICT}
    late = check.file(line_of([event(1)], at=SETTLED_UNTIL - timedelta(seconds=30)))
    assert check.run(late, as_json=True) is ExitCode.OK
    assert json.loads(capsys.readouterr().out)["not_settled"] == 1
    early = check.file(line_of([event(1)], at=SETTLED_UNTIL - timedelta(seconds=61)))
    with pytest.raises(CommandError, match=r"has no verdict on it, and is settled up to 2026-11-23T11:00:00\.000Z"):
        check.run(early)


def test_an_event_whose_message_was_removed_on_record_is_not_wrong(
    check: Check, capsys: pytest.CaptureFixture[str]
) -> None:
    check.lookup.wrong_ids = {event(1).event_id: Wrong.REMOVED}
    assert check.run(check.file(line_of([event(1), event(2)])), as_json=True) is ExitCode.OK
    document = json.loads(capsys.readouterr().out)
    assert (document["removed"], document["in_log"], document["wrong"]) == (1, 1, 0)


def test_lines_that_cannot_be_used_get_a_sentence_each_and_the_others_are_checked(
    check: Check, capsys: pytest.CaptureFixture[str]
) -> None:
    good = line_of([event(1)])
    file = check.file(b"{}\n", good, good[:50])
    with pytest.raises(CommandError, match="2 lines cannot be used") as refused:
        check.run(file)
    assert refused.value.code is ExitCode.BAD_INPUT
    first, second, third = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{file}, line 1: is not a receipt")
    assert second == f"{file}, line 3: ends within a receipt: the file was cut off"
    assert third.startswith("version 3: 1 receipted event: 1 in the log")
    check.lookup.asked.clear()
    with pytest.raises(CommandError, match="the file holds no receipt"):
        check.run(check.file(b""))
    assert check.lookup.asked == [], "nothing was looked up, so no server was needed"
    with pytest.raises(CommandError, match="cannot be read"):
        check.run(check.folder)


def test_files_of_any_size_are_looked_up_in_chunks(check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receipts, "CHUNK_EVENTS", 10)
    files = [check.file(*(line_of([event(n), event(n + 50)]) for n in range(12)), name=name) for name in "ab"]
    assert check.run(*files) is ExitCode.OK
    assert check.lookup.asked == [10, 10, 10, 10, 8]


def test_a_file_that_fails_while_it_is_read_is_named(check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    class Failing(io.BytesIO):
        def readline(self, _most: int | None = None) -> bytes:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(receipts, "open_regular", lambda _file: Failing())
    with pytest.raises(CommandError, match=r"receipts\.jsonl cannot be read \(Input/output error\)") as caught:
        check.run(check.file(line_of([event(1)])))
    assert caught.value.code is ExitCode.BAD_INPUT


def test_reading_takes_flat_memory() -> None:
    line = line_of([event(number) for number in range(40)])
    file = io.BytesIO(line * 500)
    tracemalloc.start()
    assert sum(1 for _ in receipts_in(file, READ_SIGNED)) == 500
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 500_000 < 500 * len(line) / 5
