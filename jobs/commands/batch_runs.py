"""`./viewledger batch runs`: list the journal of runs."""

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from datetime import date
from typing import Any

from batch_layer.versions.ports import RunEntry
from batch_layer.versions.postgres_versions import PostgresVersionStore
from ingestion.contract.day_ranges import day_ranges
from ingestion.contract.printable import escaped
from jobs import settings
from jobs.exit_codes import ExitCode
from jobs.wiring.batch_errors import errors_as_exit_codes


def run(*, limit: int, as_json: bool) -> ExitCode:
    """Print the newest runs, newest first."""
    url = settings.PostgresConnection.from_environ(settings.environment("PIPELINE")).url
    with errors_as_exit_codes(), closing(PostgresVersionStore(url)) as store:
        found = store.runs(limit)
    for each in found:
        if as_json:
            print(json.dumps(asdict(each), default=str))
        else:
            print("\n".join(map(escaped, lines_of(each))))
    if not found and not as_json:
        print("no run yet; ./viewledger batch run does one")
    return ExitCode.OK


def lines_of(entry: RunEntry) -> Iterator[str]:
    """Yield a run for people: what it did and when, its stages in order, its days as ranges, and why it failed."""
    took = "" if entry.ended_at is None else f" in {(entry.ended_at - entry.started_at).total_seconds():.0f} s"
    version = "" if entry.version is None else f", version {entry.version}"
    yield f"{entry.run_id}  {entry.started_at:%Y-%m-%d %H:%M:%S}  {entry.kind}  {entry.state}{version}{took}"
    detail: dict[str, Any] = dict(entry.detail)
    if stages := detail.get("stage_seconds"):
        rows = stages.items() if isinstance(stages, dict) else stages  # runs of earlier releases kept no order
        yield "    " + ", ".join(f"{stage} {seconds:.1f} s" for stage, seconds in rows)
    if days := detail.get("judged_days"):
        yield f"    days {', '.join(day_ranges(map(date.fromisoformat, days)))}"
    yield from (f"    {failure}" for failure in detail.get("failures", ()))
    yield from (
        f"    {detail[name]}" for name in ("error", "report") if detail.get(name) and entry.state != "published"
    )
