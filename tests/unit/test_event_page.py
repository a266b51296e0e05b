"""The page about sending events and the JSON Schema agree with the code."""

import ast
from collections.abc import Iterator
from pathlib import Path

from jsonschema import Draft202012Validator

from ingestion.contract.event import AdView, ViewEvent
from ingestion.contract.event_schema import AD_MEANINGS, MEANINGS, event_schema
from jobs.event_page import PAGE, PROBLEMS, REASONS, SCHEMA, page, schema_text
from jobs.settings.state_home import PROJECT

COLLECTOR = sorted((PROJECT / "ingestion").rglob("*.py"))
SERVER = sorted((PROJECT / "jobs" / "http").glob("*.py"))


def first_words(paths: list[Path], *names: str, place: int) -> Iterator[str]:
    """The constant texts at a place of the arguments of calls."""
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names:
                word = node.args[place] if len(node.args) > place else None
                if isinstance(word, ast.Constant) and isinstance(word.value, str):
                    yield word.value


def test_the_page_and_the_schema_are_current() -> None:
    assert PAGE.read_text() == page(), "write it again: python -m jobs.event_page"
    assert SCHEMA.read_text() == schema_text(), "write it again: python -m jobs.event_page"


def test_every_field_has_a_meaning() -> None:
    assert tuple(MEANINGS) == ViewEvent.__struct_fields__
    assert tuple(AD_MEANINGS) == AdView.__struct_fields__


def test_with_a_play_an_event_needs_its_seconds_alone() -> None:
    validator = Draft202012Validator(event_schema())
    assert validator.is_valid({"play": "token", "view_duration": 3})
    assert not validator.is_valid({"view_duration": 3})
    assert not validator.is_valid({"play": "token"})


def test_the_schema_is_one_of_its_dialect() -> None:
    Draft202012Validator.check_schema(event_schema())


def test_every_problem_of_the_collector_is_on_the_page_and_none_else() -> None:
    codes = set(first_words([*COLLECTOR, *SERVER], "Problem", place=1))
    codes |= {"not_found", "method_not_allowed", "http_error"}  # from one table in `_http_error`
    assert set(PROBLEMS) == codes
    assert list(PROBLEMS) == sorted(PROBLEMS)


def test_every_reason_of_a_rejected_event_is_on_the_page_and_none_else() -> None:
    codes = set(first_words(COLLECTOR, "Reason", "_rejected", place=0))
    assert len(codes) > 8
    assert {code for code in REASONS if code.islower()} == codes
