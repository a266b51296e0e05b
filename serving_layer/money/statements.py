"""Statements in the API's form, and the port that reads them. Pure.

Amounts are integer micros (1e-6 of the currency's unit), shares parts per million.
"""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated, Protocol

import msgspec

from serving_layer.access.access import Caller
from serving_layer.problems.problems import ProblemError, refused

UNDECIDED = frozenset({"calculated", "in_review", "approved"})
"""States in which a statement may still change without notice to its payee, who does not see it yet."""
STATEMENTS_MAX = 1_000
"""The number of a payee's statements in a list, newest first."""


class ChainLink(msgspec.Struct, frozen=True):
    """One row of the chain from the events received to the billable views; negative: taken away."""

    name: str
    events: int


class StatementLine(msgspec.Struct, frozen=True):
    """One rated line with the proof of the events that it pays."""

    line_index: int
    video_id: str
    owned_from_on: date
    owned_to_on: date
    share_ppm: int
    kind: str
    country: str
    effective_from_on: date
    tier_index: int
    quantity: int
    rate_per_thousand_micros: int
    amount_micros: int
    settled_views: int
    policy_version: int
    evidence_root: str
    title: str | None = None
    """The video's title in the statement's catalogue; null if it has none."""


class StatementSummary(msgspec.Struct, frozen=True):
    """The amount owed to a payee for a period."""

    statement_id: str
    payee_id: str
    period_start_on: date
    period_end_on: date
    restatement_number: int
    supersedes: str | None
    state: str
    currency: str
    billable_views: int
    earned_micros: int
    """Payable and withheld tax; the lines sum to this and what is over the cap."""
    over_cap_micros: int
    tax_country: str
    tax_micros: int
    payable_micros: int
    carried_nanomicros_before: int
    carried_nanomicros_after: int
    line_count: int
    chain: Sequence[ChainLink]


class StatementDetail(StatementSummary, frozen=True):
    """A statement with its lines and its versions."""

    batch_version: int
    """The published version whose settled views it pays."""
    catalogue_version: int
    contract_version: int
    calculated_at: datetime
    posted_at: datetime | None
    lines: Sequence[StatementLine]


class StatementList(msgspec.Struct, frozen=True):
    """A page of a payee's statements."""

    payee_id: str
    rows: Sequence[StatementSummary]
    next: Annotated[str | None, msgspec.Meta(description="The cursor of the next page; null on the last")]


class UnknownPayeeError(Exception):
    """An unknown payee; the message names the nearest known one."""


class Statements(Protocol):
    """Reads the books' statements. Called from a thread; raise UnavailableError."""

    def of_payee(self, payee_id: str, most: int) -> Sequence[StatementSummary]:
        """Return a payee's statements, newest period and restatement first.

        Raises:
            UnknownPayeeError: there is no such payee.
        """

    def statement(self, statement_id: str) -> StatementDetail | None:
        """Return a statement with its lines; None if there is no such statement."""

    def bundle(self, statement_id: str) -> bytes | None:
        """Return what checks a statement, as JSON for `viewledger-verify`; None if there is no such statement."""


def books_unavailable() -> ProblemError:
    """Return the answer while the books do not answer."""
    detail = "the books in PostgreSQL do not answer; view counts are not affected, try again shortly"
    return refused("statements_unavailable", detail, {"Retry-After": "5"})


def is_shown(statement: StatementSummary, caller: Caller) -> bool:
    """Return whether a caller with the scope sees a statement: payees only their own, and only once it is decided."""
    if not caller.sees_payee(statement.payee_id):
        return False
    return caller.payee_id is None or statement.state not in UNDECIDED
