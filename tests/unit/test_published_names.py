"""Names of tables that analysts may not use: each is refused with a sentence, the empty one too."""

import pytest

from batch_layer.published.published_names import ForbiddenError, check_table


@pytest.mark.parametrize("parts", [(), ("",), ("ledger", "views", "events"), ("a", "b", "c", "d")])
def test_another_name_is_refused_and_says_what_a_name_is(parts: tuple[str, ...]) -> None:
    with pytest.raises(ForbiddenError, match=r"is not open to analysts; a table's name is TABLE, .*\.v3\.TABLE$"):
        check_table(parts)


@pytest.mark.parametrize("parts", [("reporting", "days"), ("Reporting", "days")])
def test_the_schema_of_reports_is_elsewhere(parts: tuple[str, ...]) -> None:
    with pytest.raises(ForbiddenError, match=r"; the schema reporting is in PostgreSQL$"):
        check_table(parts)
