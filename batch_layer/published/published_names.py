"""The names under which analysts find the published tables, and the other names they may use."""

import re
from collections.abc import Sequence

from batch_layer.published.published_functions import function_problem, table_function_problem

CATALOG = "published"
CURRENT = "current"
"""The namespace that follows the pointer; `v1`, `v2`, … are the versions."""


class ForbiddenError(Exception):
    """The object is not open to analysts; the message is one sentence."""


class QueryError(Exception):
    """Spark could not answer a question; the message is its own sentence."""


def is_namespace(name: str) -> bool:
    """Return whether a name has the form of a namespace, published or not."""
    return re.fullmatch(r"current|v[1-9]\d{0,17}", name, re.ASCII | re.IGNORECASE) is not None


def check_table(parts: Sequence[str]) -> None:
    """Accept `table`, `namespace.table` and `published.namespace.table`; refuse other names.

    A single part is looked up in the session's own views and in the namespace that the session uses, which
    `check_namespace` bounds. Without this check two parts could be a data source and a file, and four a table's
    metadata; and a part that is not a word could be read as a path.
    """
    if not 1 <= len(parts) <= 3 or not all(map(_is_word, parts)) or not _is_within(parts[:-1]):
        elsewhere = (
            "; the schema reporting is in PostgreSQL" if [each.lower() for each in parts[:1]] == ["reporting"] else ""
        )
        raise ForbiddenError(
            f"{_shown(parts)} is not open to analysts; a table's name is TABLE, {CURRENT}.TABLE, v3.TABLE or "
            f"{CATALOG}.v3.TABLE{elsewhere}"
        )


def check_namespace(parts: Sequence[str]) -> None:
    """Accept nothing, `published`, `namespace` and `published.namespace`; refuse other names."""
    if parts and parts != [CATALOG] and not _is_within(parts):
        raise ForbiddenError(f"{_shown(parts)} is not open to analysts; a namespace is {CURRENT}, v1, v2, …")


def check_function(parts: Sequence[str]) -> None:
    """Accept Spark's own functions that compute from their arguments and reach nothing else; refuse others."""
    if problem := function_problem(".".join(parts).lower()):
        raise ForbiddenError(problem)


def check_table_function(parts: Sequence[str]) -> None:
    """Accept the table functions that read nothing but their arguments; refuse others."""
    if problem := table_function_problem(".".join(parts).lower()):
        raise ForbiddenError(problem)


def _is_word(name: str) -> bool:
    return re.fullmatch(r"\w+", name, re.ASCII) is not None


def _is_within(parts: Sequence[str]) -> bool:
    namespace = parts[1:] if len(parts) == 2 and parts[0].lower() == CATALOG else parts
    return len(namespace) == 0 or (len(namespace) == 1 and is_namespace(namespace[0]))


def _shown(parts: Sequence[str]) -> str:
    return ".".join(parts)[:120] or "an empty name"
