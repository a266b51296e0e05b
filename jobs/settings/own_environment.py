"""The only place that reads this process's environment."""

import os

COMPLETION_VARIABLE = "_VIEWLEDGER_COMPLETE"
"""What a shell's completion script sets to `SHELL_complete` when it asks what can come next; no setting."""


def own_environment() -> dict[str, str]:
    """Return a copy: the environment that child processes inherit, and that single settings are read from."""
    return dict(os.environ)


def asked_for_completion() -> str:
    """Return what a shell's completion script asks for; empty where none asks."""
    return os.environ.get(COMPLETION_VARIABLE, "")
