"""Spark's error messages in one sentence."""

import re

_JAVA_CLASS = r"\((?:[\w$]+\.)+[\w$]+\) "
"""Begins an error for which Spark has no class of its own, in the text of its client."""


def one_sentence(message: str) -> str:
    """Return Spark's own sentence, without its codes, Java's class, the query and the stack trace; it may be empty."""
    first_line = message.strip().partition("\n")[0]
    return re.sub(rf"^(?:{_JAVA_CLASS})?(?:\[[\w.]+\] )?|\.? SQLSTATE: \w+", "", f"{first_line} ").strip()
