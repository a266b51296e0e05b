"""The only place that reads this process's environment."""

import os


def own_environment() -> dict[str, str]:
    """Return a copy: the environment that child processes inherit, and that single settings are read from."""
    return dict(os.environ)
