"""The only place that reads this process's environment."""

import os

COMPLETION_VARIABLE = "_VIEWLEDGER_COMPLETE"
"""The variable that a shell's completion script sets to `SHELL_complete`; it is not a setting."""


def own_environment() -> dict[str, str]:
    """Return a copy: the environment that child processes inherit, and that single settings are read from."""
    return dict(os.environ)


def asked_for_completion() -> str:
    """Return the instruction of a shell's completion script; empty without one."""
    return os.environ.get(COMPLETION_VARIABLE, "")
