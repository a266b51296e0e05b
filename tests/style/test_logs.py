"""Logs have one form: a logger by one name, and a constant event text plus fields."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PRODUCT = ("ingestion", "batch_layer", "speed_layer", "serving_layer", "billing", "jobs", "faults", "attacks")
LEVELS = {"debug", "info", "warning", "error", "critical", "exception", "log"}


def nodes() -> Iterator[tuple[str, ast.AST]]:
    for folder in PRODUCT:
        for path in sorted((ROOT / folder).rglob("*.py")):
            name, text = str(path.relative_to(ROOT)), path.read_text()
            if "logg" in text:  # a file without the word has no logger, and need not be parsed
                yield from ((name, node) for node in ast.walk(ast.parse(text)))


def test_every_logger_has_one_name_and_is_that_of_its_module() -> None:
    named = [
        (path, ast.unparse(node))
        for path, node in nodes()
        if isinstance(node, ast.Assign) and ast.unparse(node.value).startswith("logging.getLogger(__")
    ]
    assert len(named) > 15
    assert not {each for each in named if each[1] != "logger = logging.getLogger(__name__)"}


def test_an_event_is_a_constant_text() -> None:
    events = [
        (path, node.args[0])
        for path, node in nodes()
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and ast.unparse(node.func.value) == "logger"
        and node.func.attr in LEVELS
    ]
    assert len(events) > 40
    assert not [(path, ast.unparse(event)) for path, event in events if not isinstance(event, ast.Constant)]
