"""Spark's error messages in one sentence."""

import re


def one_sentence(message: str) -> str:
    """Return Spark's own sentence, without its codes, the query and the stack trace."""
    return re.sub(r"^\[[\w.]+\] |\.? SQLSTATE: \w+", "", message.strip().split("\n")[0]).strip()
