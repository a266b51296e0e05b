"""A billing run: one attempt to bill or restate a period from named versions. Pure."""

import hashlib
import json
from dataclasses import dataclass, field
from datetime import datetime

from billing.books.bounds import Bounds
from ingestion.contract.periods import Period

NOBODY_ALONE = -1
"""An approval limit that every statement exceeds."""


@dataclass(frozen=True)
class BillingRun:
    """The inputs of a run; the same inputs give the same `run_id`."""

    period: Period
    currency: str
    batch_version: int
    catalogue_version: int
    contract_version: int
    unknown_views: int
    """Billable views of ids that are not a video of the catalogue: no statement pays them."""
    calculated_at: datetime
    actor: str = "operator"
    """The person who runs it; another person approves statements above the limit."""
    approval_limit_micros: int = 0
    """A statement that earns more waits for approval."""
    bounds: Bounds = field(default_factory=Bounds)
    restatement_number: int = 0
    """0 for the run that bills the period; 1, 2, … for its restatements."""
    unrated_views: int = 0
    """Billable views of owners without a rate on their day, each owner counted separately."""
    cause: str = ""
    """Why a period is restated, in words."""

    @property
    def kind(self) -> str:
        """`bill` or `restatement`."""
        return "restatement" if self.restatement_number else "bill"

    @property
    def run_id(self) -> str:
        """Return 32 hex digits, derived only from the period, the versions and the restatement number."""
        versions = [self.batch_version, self.catalogue_version, self.contract_version, self.restatement_number]
        inputs = json.dumps([str(self.period), *versions, []])  # earlier releases listed waivers here
        return hashlib.sha256(inputs.encode()).hexdigest()[:32]
