"""Tell a slower commit from a noisy machine: the same benchmarks of two commits, in turns, several times.

    python -m bench.compare v0.1.0                       # against what is checked out (its last commit)
    python -m bench.compare main~5 main --runs 9 --only collector,rules

Each round measures both commits, one directly after the other, so what else the machine does meets both. A figure is
the ratio after / before of a round, above 1 if the later commit is faster. Named is the median over the rounds with an
interval that holds the true one in at least 95 of 100 comparisons, whatever the noise is distributed like. `slower`
means that the whole interval is below 1. The exit code is 1 if one is slower by more than --tolerance, and 2 on wrong
input.
"""

import argparse
import math
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).parents[1]
RUNS_LEAST, RUNS_MOST = 6, 50
"""With fewer than six rounds no interval of 95 of 100 exists."""
CONFIDENCE = 0.95
SECONDS_MAX = 900.0


@dataclass(frozen=True)
class Measure:
    """One figure of one benchmark."""

    name: str
    words: tuple[str, ...]
    """What Python runs, in a commit's folder."""
    pattern: str
    """Finds the figure in the output."""
    more_is_better: bool = True


MEASURES = (
    Measure("collector", ("-m", "bench.bench_collector", "--work"), r"^HS256, attested: ([\d,.]+) events/s"),
    Measure("rules", ("bench/bench_traffic.py",), r"^mean of 200,000 events: ([\d,.]+) µs", more_is_better=False),
    Measure(
        "receipts",
        ("-m", "bench.bench_receipts", "--work"),
        r"^40 events, whole: made in ([\d,.]+) µs",
        more_is_better=False,
    ),
    Measure("speed", ("bench/bench_speed.py", "--events", "100000", "--rounds", "1"), r"^ratio +([\d.]+)"),
)


class CompareError(Exception):
    """A comparison cannot be made; the message is one sentence."""


@dataclass(frozen=True)
class Verdict:
    """The ratio after / before of speeds: its median, and the interval around it."""

    median: float
    low: float
    high: float

    def text(self) -> str:
        """Return the verdict in words."""
        found = "slower" if self.high < 1 else "faster" if self.low > 1 else "no difference shown"
        return f"{found}: {self.median:.3f} (between {self.low:.3f} and {self.high:.3f})"

    def is_slower_than(self, tolerance: float) -> bool:
        """Return whether even the best end of the interval loses more than a share of the speed."""
        return self.high < 1 - tolerance


def verdict_of(ratios: Sequence[float]) -> Verdict:
    """Return the median of at least six ratios, and its interval from order statistics: it assumes no distribution."""
    ordered = sorted(ratios)
    count = len(ordered)
    outside, chance = 0, 0.0  # how many of each end may be left out
    while 2 * (chance := chance + math.comb(count, outside) / 2**count) <= 1 - CONFIDENCE:
        outside += 1
    return Verdict(statistics.median(ordered), ordered[outside - 1], ordered[count - outside])


def main() -> int:
    """Compare two commits and print a line for each figure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("before", help="a commit, branch or tag")
    parser.add_argument("after", nargs="?", default="HEAD", help="another one (default: HEAD)")
    parser.add_argument("--runs", type=int, default=9, help=f"rounds, {RUNS_LEAST} to {RUNS_MOST} (default: 9)")
    parser.add_argument("--tolerance", type=float, default=0.03, help="the loss that is accepted (default: 0.03)")
    parser.add_argument("--only", default="", help=f"some of {', '.join(each.name for each in MEASURES)}")
    arguments = parser.parse_args()
    try:
        measures = chosen(arguments.only)
        if not RUNS_LEAST <= arguments.runs <= RUNS_MOST:
            raise CompareError(f"--runs {arguments.runs} is not from {RUNS_LEAST} to {RUNS_MOST}")
        if not 0 <= arguments.tolerance < 1:
            raise CompareError(f"--tolerance {arguments.tolerance} is not from 0 to below 1")
        commits = [commit_of(arguments.before), commit_of(arguments.after)]
        with folders(commits) as both:
            found = compared(both, measures, arguments.runs)
    except CompareError as error:
        print(f"compare: {error}", file=sys.stderr)
        return 2
    print(f"{commits[1][:12]} against {commits[0][:12]}, {arguments.runs} rounds, speed after / before:")
    for name, verdict in found.items():
        print(f"  {name:<10} {verdict.text()}")
    return int(any(each.is_slower_than(arguments.tolerance) for each in found.values()))


def chosen(names: str) -> list[Measure]:
    """Return the measures of these names, or all. Raises CompareError."""
    wanted = [each for each in names.split(",") if each]
    if unknown := set(wanted) - {each.name for each in MEASURES}:
        known = ", ".join(each.name for each in MEASURES)
        raise CompareError(f"--only names no measure: {', '.join(sorted(unknown))}; give some of {known}")
    return [each for each in MEASURES if not wanted or each.name in wanted]


def commit_of(name: str) -> str:
    """Return the hash of a commit. Raises CompareError."""
    words = ["git", "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}"]
    found = subprocess.run(words, cwd=PROJECT, capture_output=True, text=True, check=False)
    if found.returncode != 0:
        raise CompareError(f"{name!r} is not a commit of {PROJECT}; give a branch, a tag or a hash")
    return found.stdout.strip()


@contextmanager
def folders(commits: Sequence[str]) -> Iterator[list[Path]]:
    """Yield a folder with the files of each commit, in which nothing of another is imported."""
    with tempfile.TemporaryDirectory(prefix="viewledger-compare-") as name:
        made = []
        for index, commit in enumerate(commits):
            folder = Path(name) / str(index)
            folder.mkdir()
            files = subprocess.run(["git", "archive", commit], cwd=PROJECT, capture_output=True, check=True).stdout
            subprocess.run(["tar", "-x", "-C", str(folder)], input=files, check=True)
            made.append(folder)
        yield made


def compared(both: Sequence[Path], measures: Sequence[Measure], runs: int) -> Mapping[str, Verdict]:
    """Return the verdict on each measure; both commits are measured in each round, in an order that is drawn."""
    ratios: dict[str, list[float]] = {each.name: [] for each in measures}
    order = random.Random(runs)
    for index in range(runs):
        for measure in measures:
            figures = {}
            for folder in order.sample(both, 2):
                figures[folder] = figure_of(measure, folder)
            before, after = (figures[folder] for folder in both)
            ratios[measure.name].append(after / before if measure.more_is_better else before / after)
            print(f"round {index + 1} of {runs}, {measure.name}: {ratios[measure.name][-1]:.3f}", file=sys.stderr)
    return {name: verdict_of(found) for name, found in ratios.items()}


def figure_of(measure: Measure, folder: Path) -> float:
    """Run a benchmark in a folder and return its figure. Raises CompareError."""
    from jobs.settings.state_home import state_home  # the jars and programs of this checkout serve both

    environ = {**os.environ, "PYTHONPATH": str(folder), "VIEWLEDGER_HOME": str(state_home())}
    words = [sys.executable, "-P", *measure.words]
    try:
        done = subprocess.run(
            words, cwd=folder, env=environ, capture_output=True, text=True, timeout=SECONDS_MAX, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise CompareError(f"{measure.name} took longer than {SECONDS_MAX:.0f} s") from error
    found = re.search(measure.pattern, done.stdout, re.MULTILINE)
    if done.returncode != 0 or found is None:
        last = (done.stderr.strip() or done.stdout.strip() or "nothing was printed").splitlines()[-1]
        raise CompareError(f"{measure.name} has no figure: exit code {done.returncode}, {last}")
    return float(found[1].replace(",", ""))


if __name__ == "__main__":
    sys.exit(main())
