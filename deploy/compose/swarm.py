"""Write the stack for Docker Swarm that docker-compose.yml describes: `python deploy/compose/swarm.py > stack.yml`.

Then `docker stack deploy --compose-file stack.yml viewledger`, with the same secrets in the environment. What Swarm
does not know is left out or said in its words:

- Services that wait for others are started again until these are there.
- Volumes are folders of one machine, so everything runs on the machine with the label `viewledger=true`.
- Swarm cannot publish a port to this machine alone, so none is published: a proxy joins the stack's network.
- Its file systems in memory run no programs, which Spark needs: volumes without a name take their place.
- A file of keys is given only where its variable is set, since Swarm refuses an empty secret.
"""

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

COMPOSE = Path(__file__).parents[2] / "docker-compose.yml"
UNKNOWN = ("build", "depends_on", "network_mode", "ports", "profiles", "restart", "security_opt", "shm_size", "tmpfs")
ONCE = {"folders", "rights", "schema", "topics"}
BY_HAND = {"billing"}
"""Started by a person under Docker Compose; `docker exec` in a running service does it here."""
_IF_SET = re.compile(r"^\$\{(\w+):\+(.*)\}$")


def stack_of(compose: dict[str, Any], environ: Mapping[str, str]) -> dict[str, Any]:
    """Return the stack of a compose file; `environ` says which optional files of keys there are."""
    services = {
        name: _service(name, service, environ) for name, service in compose["services"].items() if name not in BY_HAND
    }
    used = {secret for service in services.values() for secret in service.get("secrets", ())}
    secrets = {
        name: {"file": _path(secret["file"], environ)} for name, secret in compose["secrets"].items() if name in used
    }
    return {"version": "3.9", "services": services, "secrets": secrets, "volumes": compose["volumes"]}


def _service(name: str, service: Mapping[str, Any], environ: Mapping[str, str]) -> dict[str, Any]:
    known = {key: value for key, value in service.items() if key not in UNKNOWN}
    for key in ("environment", "command", "entrypoint"):
        if key in known:
            known[key] = _resolved(known[key], environ)
    given = {str(value).rpartition("/")[2] for value in (known.get("environment") or {}).values()}
    known["secrets"] = [each for each in service.get("secrets", ()) if each in given]
    if scratch := [each.partition(":")[0] for each in service.get("tmpfs", ())]:
        known["volumes"] = [*service.get("volumes", ()), *scratch]
    known["deploy"] = {
        **service["deploy"],
        "placement": {"constraints": ["node.labels.viewledger == true"]},
        "restart_policy": {"condition": "on-failure" if name in ONCE else "any", "delay": "5s"},
        "update_config": {"order": "stop-first"},  # two speed or batch processes at once would only wait for each other
    }
    return known


def _resolved(value: Any, environ: Mapping[str, str]) -> Any:
    """Return a table or a list of words with `${NAME:+text}`, which Swarm does not know, as the text or empty."""

    def one(each: Any) -> Any:
        found = _IF_SET.match(each) if isinstance(each, str) else None
        return each if found is None else (found[2] if environ.get(found[1]) else "")

    return {key: one(each) for key, each in value.items()} if isinstance(value, dict) else [one(each) for each in value]


def _path(text: str, environ: Mapping[str, str]) -> str:
    """Return the file that `${NAME:-/dev/null}` names."""
    return environ.get(text.removeprefix("${").partition(":")[0], text)


if __name__ == "__main__":
    yaml.safe_dump(stack_of(yaml.safe_load(COMPOSE.read_text("utf-8")), os.environ), sys.stdout, sort_keys=False)
