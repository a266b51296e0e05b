"""Split text into SQL statements at the semicolons that are not part of a string, a name or a comment."""

import re
from collections.abc import Iterator

_TOKEN = re.compile(
    r"""
    (?P<whole>  '(?:[^'\\]|\\.|'')*'  |  "(?:[^"\\]|\\.|"")*"  |  `(?:[^`]|``)*`  )
  | (?P<comment>  --[^\n]*(?:\n|\Z)  |  /\*.*?\*/  )
  | (?P<open>  ['"`]  |  /\*  )
  | (?P<end>  ;  )
    """,
    re.VERBOSE | re.DOTALL,
)


class TypedStatements:
    """Accepts lines and returns complete statements."""

    def __init__(self) -> None:
        self._text = ""

    @property
    def is_between(self) -> bool:
        """Return whether only white space and comments are waiting for a semicolon."""
        return not without_comments(self._text).strip()

    def feed(self, line: str) -> Iterator[str]:
        """Add text and yield the statements that it completes, without their semicolons."""
        self._text += line
        while (end := _first_end(self._text)) is not None:
            statement, self._text = self._text[:end], self._text[end + 1 :]
            if without_comments(statement).strip():
                yield statement.strip()

    def rest(self) -> str | None:
        """Return the text that waits without a semicolon and drop it; None if there is none."""
        text, self._text = self._text, ""
        return text.strip() if without_comments(text).strip() else None


def without_comments(text: str) -> str:
    """Return a text in which every comment is a space."""
    return _TOKEN.sub(lambda found: " " if found["comment"] else found.group(), text)


def _first_end(text: str) -> int | None:
    for found in _TOKEN.finditer(text):
        if found["open"]:
            return None
        if found["end"]:
            return found.start()
    return None
