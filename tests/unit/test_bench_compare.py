"""A comparison of two commits finds what is slower, and says so of equal ones in few cases only."""

import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bench import compare
from bench.compare import CompareError, Measure, Verdict, verdict_of
from jobs.settings.state_home import PROJECT

WORLDS = 1_000


def noisy(rng: random.Random, speed: float) -> float:
    """Now and then another program takes half of the machine."""
    return speed * rng.lognormvariate(0, 0.05) * (0.5 if rng.random() < 0.1 else 1)


def found(rng: random.Random, runs: int, after: float) -> Verdict:
    return verdict_of([noisy(rng, after) / noisy(rng, 1.0) for _ in range(runs)])


@pytest.mark.parametrize("runs", [6, 9, 20])
def test_equal_commits_are_told_apart_in_at_most_five_of_a_hundred_comparisons(runs: int) -> None:
    rng = random.Random(runs)
    apart = sum(not each.low <= 1 <= each.high for each in (found(rng, runs, 1.0) for _ in range(WORLDS)))
    assert apart / WORLDS < 0.06


def test_what_is_slower_by_a_fifth_is_found_beside_noise_and_equal_speed_passes() -> None:
    rng = random.Random(1)
    assert sum(found(rng, 15, 0.8).is_slower_than(0.03) for _ in range(WORLDS)) / WORLDS > 0.9
    assert sum(found(rng, 15, 1.0).is_slower_than(0.03) for _ in range(WORLDS)) / WORLDS < 0.02


@pytest.mark.parametrize(
    ("ratios", "expected"),
    [
        ([0.9, 0.91, 0.92, 0.93, 0.94, 0.95], "slower: 0.925 (between 0.900 and 0.950)"),
        ([1.1, 1.2, 1.3, 1.4, 1.5, 1.6], "faster: 1.350 (between 1.100 and 1.600)"),
        ([0.5, 1.2, 1.3, 1.4, 1.5, 1.6], "no difference shown: 1.350 (between 0.500 and 1.600)"),
        ([0.2, 0.91, 0.92, 0.93, 0.94, 0.95, 0.96, 0.97, 3.0], "slower: 0.940 (between 0.910 and 0.970)"),
    ],
)
def test_the_interval_leaves_out_what_one_of_many_rounds_met(ratios: list[float], expected: str) -> None:
    assert verdict_of(ratios).text() == expected


def test_a_figure_of_which_less_is_better_is_turned_round(tmp_path: Path) -> None:
    folders = [tmp_path / "before", tmp_path / "after"]
    for folder, figure in zip(folders, ("2,000", "1,000"), strict=True):
        folder.mkdir()
        (folder / "bench.py").write_text(f"print('took {figure} µs')\n")
    measures = [
        Measure("time", ("bench.py",), r"^took ([\d,]+) µs", more_is_better=False),
        Measure("rate", ("bench.py",), r"^took ([\d,]+) µs"),
    ]
    found = compare.compared(folders, measures, 6)
    assert {name: each.median for name, each in found.items()} == {"time": 2.0, "rate": 0.5}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("print('nothing')", "it has no figure: exit code 0, nothing"),
        ("raise SystemExit('no Kafka')", "it has no figure: exit code 1, no Kafka"),
    ],
)
def test_a_benchmark_that_gives_no_figure_ends_the_comparison(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "bench.py").write_text(text)
    with pytest.raises(CompareError, match=f"^{sentence}$"):
        compare.figure_of(Measure("it", ("bench.py",), r"(\d+) events"), tmp_path)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: compare.commit_of("--all"), "'--all' is not a commit of "),
        (lambda: compare.commit_of("nowhere"), "'nowhere' is not a commit of "),
        (lambda: compare.chosen("speed,quick"), "--only names no measure: quick; give some of collector, rules, "),
    ],
)
def test_wrong_input_is_one_sentence(call: Callable[[], object], sentence: str) -> None:
    with pytest.raises(CompareError) as refused:
        call()
    assert str(refused.value).startswith(sentence)


def test_too_few_runs_are_refused_before_anything_is_measured() -> None:
    words = [sys.executable, "-P", "-m", "bench.compare", "HEAD", "--runs", "5"]
    done = subprocess.run(
        words, cwd=PROJECT, capture_output=True, text=True, env={"PYTHONPATH": str(PROJECT)}, check=False
    )
    assert (done.returncode, done.stderr) == (2, "compare: --runs 5 is not from 6 to 50\n")
