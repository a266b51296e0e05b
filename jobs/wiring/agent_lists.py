"""Check the lists of user agents before any event is judged by them."""

from ingestion.contract.agent_lists import AgentListError
from ingestion.contract.traffic import load_lists
from jobs.errors import CommandError


def check_agent_lists() -> None:
    """Read the lists that came with this program; one that differs from what was shipped refuses the start."""
    try:
        load_lists()
    except AgentListError as error:
        raise CommandError(str(error)) from error
