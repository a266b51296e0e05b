"""The one place that reads this process's environment."""

import os


def own_environment() -> dict[str, str]:
    """Return a copy: what a child process inherits, and where single settings are read from."""
    return dict(os.environ)
