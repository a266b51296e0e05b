"""`./viewledger status`: show which parts of the local stack are running."""

import json
import time
from pathlib import Path
from typing import Any

from jobs.exit_codes import ExitCode
from jobs.local_stack.stack import read_report
from jobs.settings.stack_in_use import folder_in_use, is_running

GOOD = ("ready", "done")


def run(*, as_json: bool) -> ExitCode:
    """Return OK if every part is up, else UNAVAILABLE."""
    answer = status(folder_in_use())
    if as_json:
        print(json.dumps(answer, indent=1))
    else:
        print(table(answer, time.time()))
    return ExitCode.OK if answer["up"] else ExitCode.UNAVAILABLE


def status(folder: Path) -> dict[str, Any]:
    """Return the supervisor's report with `up` (every part is up) and a state that is true even if it died."""
    report: dict[str, Any] = read_report(folder) if is_running(folder) else {"state": "not running", "children": {}}
    children = report["children"].values()
    report["stack"] = folder.name
    return report | {"up": report["state"] == "ready" and all(child["state"] in GOOD for child in children)}


def table(answer: dict[str, Any], now: float) -> str:
    """Return the report for people; `now` in seconds since the epoch."""
    lines = [f"stack {answer['stack']}: {answer['state']}"]
    if answer.get("error"):
        lines.append(str(answer["error"]))
    if answer["children"]:
        lines.append(f"{'name':<18}{'state':<13}{'pid':>8}{'port':>7}{'uptime':>10}{'restarts':>10}")
    for name, child in answer["children"].items():
        uptime = f"{now - child['started_at']:.0f} s" if child["pid"] and child["started_at"] else "-"
        pid, port = child["pid"] or "-", child["port"] or "-"
        lines.append(f"{name:<18}{child['state']:<13}{pid:>8}{port:>7}{uptime:>10}{child['restarts']:>10}")
    return "\n".join(lines)
