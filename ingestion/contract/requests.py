"""Requests over HTTP that the books answer once, and the errors by which they refuse them."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class RequestKey:
    """The key of a request, and a hash of its content."""

    caller: str
    key: str
    inputs_hash: str
    """SHA-256, in hex."""


class KeyReusedError(Exception):
    """The key was used for another request before."""


class FileRefusedError(Exception):
    """One or more files break their format; `problems` names each one with file, line and column."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class OpenAppealError(Exception):
    """An appeal to the statement is not decided yet."""
