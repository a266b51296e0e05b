"""Read the lists that came with the program before anything is judged by them; a wrong one refuses the start."""

from collections.abc import Callable
from typing import TypeVar

from ingestion.contract.dated_lists import ListError
from ingestion.contract.traffic import load_lists
from ingestion.network_kinds import NetworkKinds, shipped_kinds
from jobs.errors import CommandError

Read = TypeVar("Read")


def check_agent_lists() -> None:
    """Read the lists by which user agents are judged."""
    _checked(load_lists)


def network_kinds() -> NetworkKinds:
    """Return the kinds of networks by the lists that came with the program."""
    return _checked(shipped_kinds)


def _checked(read: Callable[[], Read]) -> Read:
    try:
        return read()
    except ListError as error:
        raise CommandError(str(error)) from error
