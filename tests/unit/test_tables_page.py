"""The tables and the rules of the database are documented, and the pages agree with the code."""

import re

import pytest

from batch_layer.lake.tables import TABLES
from ingestion.contract.refusals import DatabaseRule, is_refusal
from jobs.tables_page import GROUPS, PAGE, REFUSALS, page, refusals_page


def test_every_table_and_column_says_what_it_is() -> None:
    assert len(TABLES) == 11
    for name, table in TABLES.items():
        assert table.comment, name
        assert len({column.name for column in table.columns}) == len(table.columns), name
        assert not [column.name for column in table.columns if len(column.comment) < 5], name


def test_the_page_is_current() -> None:
    assert PAGE.read_text() == page(), "write it again: python -m jobs.tables_page"


def test_the_page_of_refusals_is_current() -> None:
    assert REFUSALS.read_text() == refusals_page(), "write it again: python -m jobs.tables_page"


def test_every_code_is_of_one_rule_and_on_the_page_once() -> None:
    codes = [rule.sqlstate for rule in DatabaseRule]
    assert codes == sorted(set(codes))
    assert all(re.fullmatch(r"VL\d{3}", code) for code in codes)
    assert re.findall(r"^\| `(VL\d{3})` \|", refusals_page(), re.MULTILINE) == codes
    assert [start for start in GROUPS if not any(code.startswith(start) for code in codes)] == []
    assert all(rule.demands and rule.remedy for rule in DatabaseRule)


@pytest.mark.parametrize(
    ("sqlstate", "expected"), [("VL001", True), ("VL999", True), ("P0001", False), ("23505", False), (None, False)]
)
def test_a_refusal_is_known_by_its_class(sqlstate: str | None, expected: bool) -> None:
    assert is_refusal(sqlstate) is expected
