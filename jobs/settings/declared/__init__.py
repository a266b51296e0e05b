"""Every setting, declared once: its name, kind, default, bounds, meaning, readers, and whether it is a secret.

All code reads settings through these declarations; `doctor` and docs/reference/settings.md list the same.
"""

from types import ModuleType
from typing import Any

from jobs.settings.declared import api, billing, compose, listening, machine, pipeline, servers, spark
from jobs.settings.kinds import IN_A_FILE, Setting


def _of(module: ModuleType) -> tuple[Setting[Any], ...]:
    return tuple(each for each in vars(module).values() if isinstance(each, Setting))


SECTIONS = {
    "Servers": _of(servers),
    "Listening": _of(listening),
    "API and portal": _of(api),
    "Events and counts": _of(pipeline),
    "Spark": _of(spark),
    "Billing": _of(billing),
    "This machine": _of(machine),
    "Docker Compose": _of(compose),
}
SETTINGS = {each.name: each for section in SECTIONS.values() for each in section}
NAMES = frozenset({*SETTINGS, *(name + IN_A_FILE for name, each in SETTINGS.items() if each.is_secret)})
"""Every name in the environment that is a setting's, or that of the file with a secret."""
