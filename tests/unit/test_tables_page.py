"""The tables are documented, and the page says what they say."""

from batch_layer.lake.tables import TABLES
from jobs.tables_page import PAGE, page


def test_every_table_and_column_says_what_it_is() -> None:
    assert len(TABLES) == 7
    for name, table in TABLES.items():
        assert table.comment, name
        assert len({column.name for column in table.columns}) == len(table.columns), name
        assert not [column.name for column in table.columns if len(column.comment) < 5], name


def test_the_page_is_current() -> None:
    assert PAGE.read_text() == page(), "write it again: python -m jobs.tables_page"
