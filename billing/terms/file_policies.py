"""Read a proposed counting policy (YAML) for a backtest; checked by billing/terms/policy_schema.json."""

import json
from datetime import date, timedelta
from pathlib import Path

from billing.terms.file_yaml import read_checked, strict_validator
from ingestion.contract.policy import CountingPolicy

PROPOSED_VERSION = 0
"""No policy in force has this version."""
SCHEMA_FILE = Path(__file__).with_name("policy_schema.json")
_VALIDATOR = strict_validator(json.loads(SCHEMA_FILE.read_text(encoding="utf-8")))


def read_policy(file: Path) -> CountingPolicy:
    """Return the policy of a file, in force on every day.

    Raises:
        FileRefusedError: names every problem.
    """
    document, _ = read_checked(file, _VALIDATOR)
    return CountingPolicy(
        version=PROPOSED_VERSION,
        effective_from_on=date.min,
        minimum_view_seconds=document["minimum_view_seconds"],
        billable_per_viewer_max=document["billable_per_viewer_max"],
        viewer_window=timedelta(hours=document["viewer_window_hours"]),
        asks_attestation=document.get("asks_attestation", False),
    )
