"""Write docs/reference/settings.md from the declarations: `python -m jobs.settings.page`. A test compares the two."""

from typing import Any

from jobs.settings.declared import SECTIONS
from jobs.settings.kinds import Setting
from jobs.settings.state_home import PROJECT

PAGE = PROJECT / "docs" / "reference" / "settings.md"
HEAD = """\
# Settings

Written by `python -m jobs.settings.page` from the declarations in `jobs/settings/declared`; not to
be changed by hand.

A setting is a variable of the environment. An empty one counts as not set. A process refuses a
wrong value before it connects to anything, and names the setting. While a local stack runs, its
settings hold for every command where the environment says nothing else. `./viewledger doctor`
lists what is set, and names wrong values and unknown names. It never shows a secret's value.

A process reads a secret also from a file, named by the setting with `_FILE` behind its name:
`VIEWLEDGER_REDIS_URL_FILE=/run/secrets/redis_url`. The line's end is not part of the secret. Both
forms of one setting at the same time are refused.
"""


def page() -> str:
    """Return the whole page."""
    return "\n".join([HEAD, *(_section(title, section) for title, section in SECTIONS.items())])


def _section(title: str, section: tuple[Setting[Any], ...]) -> str:
    head = [f"## {title}", "", "| setting | meaning | a value | default | read by |", "|---|---|---|---|---|"]
    return "\n".join([*head, *map(_row, section), ""])


def _row(setting: Setting[Any]) -> str:
    meaning = f"{setting.meaning} (a secret)" if setting.is_secret else setting.meaning
    cells = (f"`{setting.name}`", meaning, setting.allowed, _default(setting), setting.read_by)
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _default(setting: Setting[Any]) -> str:
    if setting.default is None:
        return f"not set: {setting.without}" if setting.without else "none: it must be set"
    return f"`{text}`" if (text := setting.text(setting.default)) else "none"


if __name__ == "__main__":
    PAGE.write_text(page())
