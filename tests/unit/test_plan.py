"""A plan follows from measured coefficients alone: it grows with the load, and a load beyond it gets a sentence."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from ingestion.contract.topics import PARTITION_COUNT
from jobs.checkup.capacity import COEFFICIENTS, Load, plan
from jobs.cli import main
from jobs.exit_codes import ExitCode
from jobs.settings.state_home import PROJECT

LOAD = Load(
    views_per_day=86_400_000, peak_factor=10, reads_per_second=100, videos=100_000, payees=1_000, run_minutes=60,
    horizon_seconds=7_200, kafka_days=7, retention_days=400, copies=3, busy_percent=50,
)  # fmt: skip
PAGE = PROJECT / "docs" / "operate" / "sizing.md"


def amounts(load: Load) -> dict[str, int]:
    return {each.name: each.amount for each in plan(load)}


def test_ten_thousand_events_a_second_are_planned_as_the_arithmetic_says() -> None:
    found = amounts(LOAD)
    value = {each.name: each.value for each in COEFFICIENTS}
    assert found["peak rate"] == 10_000
    assert found["partitions"] == PARTITION_COUNT
    assert (found["collectors"], found["speed processes"], found["API processes"]) == (18, 2, 2)
    assert found["Redis memory"] == 10_000 * 10_800 * 80
    assert found["executors"] == 2
    assert found["Kafka disk"] == 86_400_000 * value["event_bytes_kafka"] * 7 * 3
    assert found["warehouse disk"] == 86_400_000 * 196 * 400 * 3
    assert found["PostgreSQL, series a day"] == 86_400_000 * value["cell_bytes"]
    assert found["PostgreSQL, served counts"] == 100_000 * 24 * 35 * value["count_bytes"]
    assert found["PostgreSQL, bills a month"] == 1_000 * value["statement_bytes"] + 100_000 * value["line_bytes"]


@pytest.mark.parametrize(
    "more",
    [
        {"views_per_day": 172_800_000}, {"peak_factor": 20}, {"reads_per_second": 10_000}, {"videos": 200_000},
        {"payees": 2_000}, {"horizon_seconds": 14_400}, {"kafka_days": 14}, {"retention_days": 800}, {"copies": 4},
    ],
)  # fmt: skip
def test_more_of_anything_needs_more_of_something_and_less_of_nothing(more: dict[str, int]) -> None:
    before, after = amounts(LOAD), amounts(replace(LOAD, **more))
    assert all(after[name] >= before[name] for name in before)
    assert after != before


def test_processes_that_may_be_busier_are_fewer() -> None:
    assert amounts(replace(LOAD, busy_percent=100))["collectors"] < amounts(LOAD)["collectors"]


def test_one_view_a_day_still_needs_two_of_each_process() -> None:
    found = amounts(replace(LOAD, views_per_day=1, videos=1, payees=1))
    assert (found["peak rate"], found["collectors"], found["speed processes"], found["executors"]) == (1, 2, 2, 2)


def test_what_needs_more_partitions_than_there_can_be_is_said_with_the_most() -> None:
    with pytest.raises(
        ValueError, match=r"at most 256 are supported: plan for ([\d,]+) views a day or fewer"
    ) as caught:
        plan(replace(LOAD, views_per_day=10**12))
    assert str(caught.value).startswith("1,000,000,000,000 views a day")
    most = int(re.search(r"plan for ([\d,]+)", str(caught.value))[1].replace(",", ""))  # type: ignore[index]
    assert amounts(replace(LOAD, views_per_day=most))["partitions"] == 252
    with pytest.raises(ValueError, match="partitions"):
        plan(replace(LOAD, views_per_day=most + 1))


def test_runs_that_follow_each_other_too_fast_are_refused() -> None:
    with pytest.raises(ValueError, match=r"runs every 1 minutes leave no time beside the 31\.3 s of each"):
        plan(replace(LOAD, run_minutes=1))


def test_every_coefficient_has_a_positive_value_and_a_source_in_the_benches() -> None:
    assert len({each.name for each in COEFFICIENTS}) == len(COEFFICIENTS)
    for each in COEFFICIENTS:
        assert each.value > 0
        assert each.unit
        scripts = re.findall(r"bench_\w+", each.source)
        assert scripts or each.source.startswith("bench/README.md: ")
        assert all((PROJECT / "bench" / f"{script}.py").is_file() for script in scripts)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ((), "--views-per-day"),
        (("--views-per-day", "0"), "is out of range: 0; give a whole number from 1 to 1000000000000"),
        (("--views-per-day", "-5"), "is out of range: -5"),
        (("--views-per-day", "1e9"), "is not a whole number: '1e9'"),
        (("--views-per-day", "1_000"), "is not a whole number: '1_000'"),
        (("--views-per-day", "1000000000000"), "at most 256 are supported"),
        (("--views-per-day", "5", "--busy-percent", "101"), "is out of range: 101"),
        (("--views-per-day", "5", "--run-every-minutes", "1"), "leave no time"),
    ],
)
def test_a_load_that_cannot_be_planned_gets_one_sentence(
    words: tuple[str, ...], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", *words]) == ExitCode.BAD_INPUT
    error = capsys.readouterr().err
    assert sentence in error
    assert "Traceback" not in error


def test_the_page_shows_what_the_command_prints(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("VIEWLEDGER_SPEED_HORIZON_SECONDS", raising=False)
    monkeypatch.delenv("VIEWLEDGER_RETENTION_DAYS", raising=False)
    assert main(["plan", "--views-per-day", "100000000"]) == ExitCode.OK
    needs, measured = capsys.readouterr().out.split("\n\n")
    page = PAGE.read_text()
    for line in needs.splitlines()[2:]:
        name, amount, _ = re.split(r"  +", line, maxsplit=2)
        assert f"| {name} | {amount} |" in page
    for each in COEFFICIENTS:
        assert each.source in measured
    assert main(["plan", "--views-per-day", "100000000", "--json"]) == ExitCode.OK
    document = json.loads(capsys.readouterr().out)
    assert [each["name"] for each in document["needs"]] == [each.name for each in plan(Load(**document["load"]))]
    assert len(document["coefficients"]) == len(COEFFICIENTS)
