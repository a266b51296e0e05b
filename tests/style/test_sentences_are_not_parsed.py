"""A sentence is for people: what a program decides goes by the class, the part, the kind or the code of an error."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PRODUCT = ("ingestion", "batch_layer", "speed_layer", "serving_layer", "billing", "jobs")
ONLY_TEXT = ("spark_", "postgres_session.py")
"""Beginnings of names of files whose client gives nothing but text: Spark's errors, and a refused connection."""
PARSING = ("startswith", "endswith", "partition", "rpartition", "removeprefix", "find", "index")


def parsed_errors(source: str) -> Iterator[int]:
    """Yield the lines on which the text of a caught error, or of a failure, decides something."""
    for handler in ast.walk(ast.parse(source)):
        if isinstance(handler, ast.ExceptHandler) and handler.name:
            yield from (line for node in ast.walk(handler) for line in _lines(node, handler.name))


def _lines(node: ast.AST, name: str) -> Iterator[int]:
    match node:
        case ast.Compare(ops=ops, comparators=sides, left=left) if any(_is_text(each, name) for each in (left, *sides)):
            if any(isinstance(op, ast.In | ast.NotIn | ast.Eq | ast.NotEq) for op in ops):
                yield node.lineno
        case ast.Call(func=ast.Attribute(value=value, attr=method)) if method in PARSING and _is_text(value, name):
            yield node.lineno
        case ast.Call(func=ast.Attribute(value=ast.Name(id="re")), args=args) if any(_is_text(a, name) for a in args):
            yield node.lineno


def _is_text(node: ast.AST, name: str) -> bool:
    """Whether an expression is `str(error)` or one of the error's arguments."""
    match node:
        case ast.Call(func=ast.Name(id="str" | "repr"), args=[ast.Name(id=found)]):
            return found == name
        case ast.Subscript(value=ast.Attribute(value=ast.Name(id=found), attr="args")):
            return found == name
    return False


def test_the_reader_sees_what_it_looks_for() -> None:
    for decision in (
        "'gone' in str(error)",
        "str(error) == 'gone'",
        "str(error).startswith('gone')",
        "re.search('gone', str(error))",
        "error.args[0].partition(':')",
    ):
        source = f"try:\n    work()\nexcept ValueError as error:\n    found = {decision}\n"
        assert list(parsed_errors(source)) == [4], decision
    assert list(parsed_errors("try:\n    work()\nexcept ValueError as error:\n    print(str(error))\n")) == []


def test_nothing_is_decided_by_the_sentence_of_an_error() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for folder in PRODUCT
        for path in sorted((ROOT / folder).rglob("*.py"))
        if not path.name.startswith(ONLY_TEXT)
        for line in parsed_errors(path.read_text(encoding="utf-8"))
    ]
    assert found == []
