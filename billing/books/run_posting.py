"""Post a run's bills: statements in groups of payees, bounds over the whole run, then the ledger. Knows only ports.

Memory does not grow with the number of payees: bills are processed in groups.
"""

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from billing.books.book_ports import Books, Finalised, PayeeRange
from billing.books.bounds import amount_out_of_bounds
from billing.books.runs import BillingRun
from billing.books.statements import Planned
from billing.money import amount_text
from billing.rating.rated_lines import PayeeBill

GROUP_PAYEES_MAX = 2000
GROUP_LINES_MAX = 20_000
SHOWN_MAX = 200
"""The number of payees that are named when a run cannot continue by itself; the others are counted."""
LARGEST_MAX = 10


@dataclass
class RunSummary:
    """The outcome of a run: sums over its payees, and the few names that are shown."""

    payee_count: int = 0
    new_count: int = 0
    unchanged_count: int = 0
    posted_count: int = 0
    """Statements that were posted to the ledger now."""
    line_count: int = 0
    billable_views: int = 0
    earned_micros: int = 0
    """Σ earned over all statements, withheld tax included."""
    carried_nanomicros: int = 0
    """Σ of each statement's carry."""
    owed_nanomicros: int = 0
    """Σ rate × quantity × share over all lines."""
    state_counts: Counter[str] = field(default_factory=Counter)
    """State → statements, before the self-approving ones are finalised."""
    changed_count: int = 0
    changed: list[str] = field(default_factory=list)
    """A sentence for each payee whose posted statement would now differ."""
    waiting: list[tuple[str, str, str]] = field(default_factory=list)
    """Payee, state and reason of new statements that wait for a person."""
    deltas: list[tuple[str, int, int]] = field(default_factory=list)
    """Payee, earned before and earned now, of the posted statements that a restatement replaces."""
    delta_micros: int = 0
    """Σ earned now − before over all of those and over new payees."""
    warnings: list[str] = field(default_factory=list)
    """Sentences for the operator; they do not stop posting."""
    causes: dict[str, dict[str, int]] = field(default_factory=dict)
    """Payee → cause → difference, of the same payees as `deltas`."""
    delta_by_cause: Counter[str] = field(default_factory=Counter)
    largest: list[tuple[int, str, int, int]] = field(default_factory=list)
    """Earned, payee, lines and billable views of the payees who earned most."""

    def add(self, run: BillingRun, bills: Iterable[PayeeBill], planned: Iterable[Planned]) -> None:
        """Add a group."""
        for bill in bills:
            self.owed_nanomicros += sum(line.owed_nanomicros for line in bill.lines)
        for each in planned:
            self._add(run, each)

    def _add(self, run: BillingRun, planned: Planned) -> None:
        statement = planned.statement
        self.payee_count += 1
        self.new_count += planned.is_new
        self.unchanged_count += not planned.is_new and not planned.is_changed
        self.line_count += statement.line_count
        self.billable_views += statement.billable_views
        self.earned_micros += statement.earned_micros
        self.carried_nanomicros += statement.carried_nanomicros_after
        self.state_counts[planned.state] += 1
        if planned.is_changed:
            self.changed_count += 1
            if len(self.changed) < SHOWN_MAX:
                self.changed.append(_changed_sentence(run, planned))
        elif planned.is_new and planned.state != "calculated" and len(self.waiting) < SHOWN_MAX:
            self.waiting.append((planned.payee_id, planned.state, planned.moves[-1].reason))
        if planned.is_new and run.kind == "restatement":
            self.delta_micros += planned.delta_micros
            if len(self.deltas) < SHOWN_MAX:
                before = planned.posted.earned_micros if planned.posted else 0
                self.deltas.append((planned.payee_id, before, statement.earned_micros))
                self.causes[planned.payee_id] = dict(statement.causes or {})
            self.delta_by_cause.update(statement.causes or {})
        row = (statement.earned_micros, planned.payee_id, statement.line_count, statement.billable_views)
        add = heapq.heappush if len(self.largest) < LARGEST_MAX else heapq.heappushpop
        add(self.largest, row)


def post_bills(run: BillingRun, bills: Iterable[PayeeBill], books: Books, *, dry_run: bool = False) -> RunSummary:
    """Make statements of bills (ascending by payee id) and post those that need no approval.

    Idempotent: a run that was killed at any point and is run again ends as if it had never been killed.
    """
    summary = RunSummary()
    if dry_run:
        for group, payees in grouped(bills):
            summary.add(run, group, books.preview(run, group, payees))
        return summary
    # 1. the run itself: from here on its days belong to its period
    run = books.begin(run)
    # 2. statements, group by group
    for group, payees in grouped(bills):
        summary.add(run, group, books.calculate(run, group, payees))
    # 3. totals out of bounds are reported and stop nothing: each statement has bounds of its own
    totals = books.run_totals(run)
    summary.warnings += amount_out_of_bounds(
        run.bounds, "the run", totals.earned_micros, totals.past_micros, run.currency
    )
    # 4. self-approving statements are posted, group by group
    finalised = finalise_run(run.run_id, books)
    summary.posted_count = finalised.statement_count
    summary.state_counts.update(held=len(finalised.held), calculated=-len(finalised.held))
    summary.waiting += [(payee_id, "held", reason) for payee_id, reason in finalised.held[:SHOWN_MAX]]
    return summary


def finalise_run(run_id: str, books: Books) -> Finalised:
    """Post every statement of a run that is ready; return the sums."""
    total, after = Finalised(), ""
    while True:
        step = books.finalise(run_id, after, GROUP_PAYEES_MAX)
        total = Finalised(
            total.statement_count + step.statement_count,
            total.earned_micros + step.earned_micros,
            held=total.held + step.held,
        )
        if step.last_payee_id is None:
            return total
        after = step.last_payee_id


def grouped(bills: Iterable[PayeeBill]) -> Iterator[tuple[list[PayeeBill], PayeeRange]]:
    """Yield bills in groups with the range of payees of each; the ranges together are all payees."""
    after, group, lines = "", list[PayeeBill](), 0
    for bill in bills:
        if group and (len(group) >= GROUP_PAYEES_MAX or lines + len(bill.lines) > GROUP_LINES_MAX):
            until = group[-1].payee_id
            yield group, PayeeRange(after, until)
            after, group, lines = until, [], 0
        group.append(bill)
        lines += len(bill.lines)
    yield group, PayeeRange(after, None)


def _changed_sentence(run: BillingRun, planned: Planned) -> str:
    before = planned.statement
    return (
        f"payee {planned.payee_id} was billed {amount_text(before.earned_micros, before.currency)} for period "
        f"{run.period} in run {before.run_id} and now has other views or rates; a posted bill is never changed: "
        f"it needs a restatement (`billing restate --period {run.period}`)"
    )
