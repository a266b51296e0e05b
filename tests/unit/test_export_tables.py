"""Which tables an export takes: those that the version has."""

import pytest

from batch_layer.lake.tables import EVENTS, OPEN_TABLES, RAW_EVENTS, UNIQUE_VIEWERS
from jobs.commands.export import tables_of
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode

NOW = {"version": 8, "rows": dict.fromkeys((*OPEN_TABLES, RAW_EVENTS), 1)}
BEFORE = {"version": 3, "rows": dict.fromkeys(set(OPEN_TABLES) - {UNIQUE_VIEWERS}, 1)}


def test_without_names_all_open_tables_of_the_version_are_exported() -> None:
    assert tables_of(None, NOW) == OPEN_TABLES
    assert tables_of(None, BEFORE) == tuple(name for name in OPEN_TABLES if name != UNIQUE_VIEWERS)


def test_a_table_that_the_version_has_not_is_one_sentence_with_those_there_are() -> None:
    assert tables_of((UNIQUE_VIEWERS,), NOW) == (UNIQUE_VIEWERS,)
    assert tables_of((EVENTS,), BEFORE) == (EVENTS,)
    with pytest.raises(CommandError, match="version 3 is of a release without the table unique_viewers_by") as refused:
        tables_of((EVENTS, UNIQUE_VIEWERS), BEFORE)
    assert refused.value.code == ExitCode.BAD_INPUT
    assert str(refused.value).endswith(", tally")
