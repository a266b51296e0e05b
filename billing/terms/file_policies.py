"""Read a proposed policy (YAML): of counting, checked by billing/terms/policy_schema.json, or of traffic."""

import json
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

from billing.terms.file_yaml import read_checked, strict_validator
from ingestion.contract.allowed_traffic import ALLOWABLE, AllowedKind, AllowedTraffic
from ingestion.contract.policy import CountingPolicy, counting_policy
from ingestion.contract.requests import FileRefusedError
from ingestion.contract.traffic_policy import THRESHOLDS, TrafficPolicy, bounds_of, contradictions
from ingestion.contract.traffic_reasons import RULE_REASONS

PROPOSED_VERSION = 0
"""No policy in force has this version."""
SCHEMA_FILE = Path(__file__).with_name("policy_schema.json")
_VALIDATOR = strict_validator(json.loads(SCHEMA_FILE.read_text(encoding="utf-8")))


def _threshold_schema(name: str) -> dict[str, Any]:
    least, most = bounds_of(name)
    return {"type": "integer", "minimum": least, "maximum": most}


_DEMOTED = {"type": "array", "uniqueItems": True, "items": {"enum": [each.code for each in RULE_REASONS]}}
_TEXT = {"type": "string"}
_ALLOWED = {
    "type": "array",
    "items": {
        "type": "object",
        "additionalProperties": False,
        "required": ["kind", "name", "until", "reasons", "because"],
        "properties": {
            "kind": {"enum": [each.value for each in AllowedKind]},
            "name": _TEXT,
            "until": {"type": "string", "format": "date"},
            "reasons": {"type": "array", "minItems": 1, "uniqueItems": True, "items": {"enum": sorted(ALLOWABLE)}},
            "because": _TEXT,
        },
    },
}
_TRAFFIC_VALIDATOR = strict_validator(
    {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "What changes in the policy of traffic",
        "type": "object",
        "additionalProperties": False,
        "minProperties": 1,
        "properties": {
            "allowed": _ALLOWED,
            "demoted": _DEMOTED,
            **{name: _threshold_schema(name) for name in THRESHOLDS},
        },
    }
)


def read_policy(file: Path) -> CountingPolicy:
    """Return the policy of a file, in force on every day.

    Raises:
        FileRefusedError: names every problem.
    """
    document, _ = read_checked(file, _VALIDATOR)
    return counting_policy(PROPOSED_VERSION, date.min, {"asks_attestation": False, **document})


def read_traffic_policy(file: Path, before: TrafficPolicy) -> TrafficPolicy:
    """Return the policy `before` with the values of a file in place of its own, in force on every day.

    Raises:
        FileRefusedError: names every problem.
    """
    document, _ = read_checked(file, _TRAFFIC_VALIDATOR)
    demoted = frozenset(document.pop("demoted", before.demoted))
    allowed = tuple(sorted(map(_entry, document.pop("allowed")))) if "allowed" in document else before.allowed
    values = {"demoted": demoted, "allowed": allowed, **document}
    policy: TrafficPolicy = replace(before, version=PROPOSED_VERSION, effective_from_on=date.min, **values)
    if problems := contradictions(policy):
        raise FileRefusedError([f"{file}: {each}" for each in problems])
    return policy


def _entry(entry: dict[str, Any]) -> AllowedTraffic:
    reasons = tuple(sorted(entry["reasons"]))
    until = date.fromisoformat(entry["until"])
    return AllowedTraffic(AllowedKind(entry["kind"]), entry["name"], until, reasons, entry["because"])
