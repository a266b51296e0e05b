"""What the tests themselves keep to."""

import ast
from collections import Counter
from collections.abc import Iterator

from jobs.settings.state_home import PROJECT
from tests.plan import BATCH, DAYS, FIRST, RUNS, SPARK, TOGETHER, part_of, place_of

FILES = {str(path.relative_to(PROJECT)): path.read_text() for path in (PROJECT / "tests").rglob("test_*.py")}


def test_every_test_that_needs_spark_in_its_own_process_shares_it_with_the_others() -> None:
    needing = {path for path, text in FILES.items() if "spark: Spark" + "Session" in text}
    assert len(needing) > 4
    assert needing <= {*RUNS, *SPARK, *DAYS}


def test_every_test_that_asks_for_the_batch_runs_of_all_shares_them() -> None:
    integration = {path: text for path, text in FILES.items() if path.startswith("tests/integration/")}
    needing = {path for path, text in integration.items() if "batch: Batch" in text or "sql_process: " in text}
    with_runs_of_their_own = {path for path, text in integration.items() if "own_batch" in text}
    assert len(needing) > 1
    assert needing - with_runs_of_their_own <= set(BATCH)


def test_every_file_belongs_to_one_part_of_the_plan() -> None:
    named = Counter(path for files in TOGETHER.values() for path in files)
    assert set(named) <= set(FILES)
    assert set(named.values()) == {1}
    assert set(FIRST) <= {part_of(path) for path in FILES}
    assert {part_of(path) for path in FILES} == set(TOGETHER) | (set(FILES) - set(named))


def test_a_part_is_in_one_piece_and_those_that_take_longest_begin() -> None:
    order = [part_of(path) for path in sorted(FILES, key=place_of)]
    pieces = [part for part, before in zip(order, ["", *order], strict=False) if part != before]
    assert len(pieces) == len(set(pieces))
    assert tuple(pieces[: len(FIRST)]) == FIRST


def test_no_two_files_have_one_name() -> None:
    """Pytest imports a file by its name alone: with two of one name it runs no test at all."""
    names = Counter(path.rpartition("/")[2] for path in FILES)
    assert [name for name, count in names.items() if count > 1] == []


def test_no_program_that_a_test_starts_outlives_the_tests() -> None:
    """A run that is ended by SIGTERM or SIGKILL cleans up nothing; the kernel ends what was bound to it."""
    started = [
        (path.name, [ast.unparse(each.value) for each in call.keywords if each.arg == "preexec_fn"])
        for path in (PROJECT / "tests").rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call) and ast.unparse(call.func) in ("Popen", "subprocess.Popen")
    ]
    assert len(started) > 4
    assert [each for each in started if each[1] != ["bound_to_parent(signal.SIGKILL)"]] == []


def test_no_test_takes_the_time_of_its_collection_for_the_present() -> None:
    """A test may run an hour after it was collected. Only the day may be taken then."""
    clocks = {"datetime.now", "datetime.today", "date.today", "time.time", "time.time_ns", "time.monotonic"}
    found = [
        f"{path.name}:{call.lineno} {ast.unparse(call)}"
        for path in (PROJECT / "tests").rglob("*.py")
        for call in calls_at_collection(ast.parse(path.read_text()))
        if ast.unparse(call.func) in clocks
    ]
    assert found == []


def calls_at_collection(node: ast.AST) -> Iterator[ast.Call]:
    """Yield the calls that are made when a module is imported: none within functions."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            for part in (*child.decorator_list, child.args):
                yield from calls_at_collection(part)
        elif isinstance(child, ast.Call):
            if ast.unparse(child) != "datetime.now(UTC).date()":
                yield child
                yield from calls_at_collection(child)
        elif not isinstance(child, ast.Lambda):
            yield from calls_at_collection(child)


def test_no_example_of_hypothesis_fails_by_the_time_that_it_takes() -> None:
    importing = {path for path, text in FILES.items() if "\nfrom hypothesis" in text}
    assert importing == {"tests/faults/test_twin.py"}, "others import from tests.examples; that one sets its own time"
