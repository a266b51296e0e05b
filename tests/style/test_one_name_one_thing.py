"""A class name means one thing in the whole product, and a record is a record: read from the code itself."""

import ast
from collections import defaultdict
from collections.abc import Sequence
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PRODUCT = ("ingestion", "batch_layer", "speed_layer", "serving_layer", "billing", "jobs")
IN_TWO_LAYERS = {"UnreadableLogError"}
"""Two layers stop for it, each with the errors of its own."""
OF_A_CLIENT = {"LogRecord"}
"""Protocols of attributes whose objects a client library makes."""


@cache
def classes() -> Sequence[tuple[Path, ast.ClassDef]]:
    """Read when a test asks: processes that only collect the tests need not parse the product."""
    return [
        (path.relative_to(ROOT), node)
        for folder in PRODUCT
        for path in sorted((ROOT / folder).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
    ]


def is_only_attributes(node: ast.ClassDef) -> bool:
    """Whether a class is a Protocol and all its members are attributes or properties."""
    if not any(ast.unparse(base).split("[")[0] == "Protocol" for base in node.bases):
        return False
    members = [each for each in node.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef | ast.AnnAssign)]
    return bool(members) and all(
        isinstance(each, ast.AnnAssign) or any(ast.unparse(mark) == "property" for mark in each.decorator_list)
        for each in members
    )


def test_the_reader_of_classes_sees_what_it_looks_for() -> None:
    source = "class Row(Protocol):\n    name: str\n    @property\n    def size(self) -> int: ...\n"
    (row,) = ast.parse(source).body
    (port,) = ast.parse(source + "    def read(self) -> str: ...\n").body
    assert isinstance(row, ast.ClassDef)
    assert isinstance(port, ast.ClassDef)
    assert (is_only_attributes(row), is_only_attributes(port)) == (True, False)


def test_every_class_name_is_defined_once() -> None:
    places: defaultdict[str, list[str]] = defaultdict(list)
    for path, node in classes():
        if not node.name.startswith("_"):
            places[node.name].append(str(path))
    assert len(places) > 400
    assert {name: where for name, where in places.items() if len(where) > 1 and name not in IN_TWO_LAYERS} == {}


def test_what_has_only_attributes_is_a_record_and_no_protocol() -> None:
    assert {node.name for _, node in classes() if is_only_attributes(node)} == OF_A_CLIENT
