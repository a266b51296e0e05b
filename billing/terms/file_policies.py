"""Read a proposed counting policy (YAML), checked by billing/terms/policy_schema.json."""

import json
from datetime import date
from pathlib import Path

from billing.terms.file_yaml import read_checked, strict_validator
from ingestion.contract.policy import CountingPolicy, counting_policy

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
    return counting_policy(PROPOSED_VERSION, date.min, {"asks_attestation": False, **document})
