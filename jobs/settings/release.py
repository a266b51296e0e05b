"""Which release of the product this is."""

import tomllib

from jobs.settings.state_home import PROJECT


def release() -> str:
    """Return the number of this release."""
    found = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    return str(found)
