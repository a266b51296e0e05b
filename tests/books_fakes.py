"""Books in memory: statements, their steps and the ledger behind one lock, as PostgreSQL keeps them."""

import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import wraps
from typing import Any, TypeVar, cast

from billing.books.book_ports import (
    Balance,
    Estimate,
    Finalised,
    LedgerTotals,
    PayeeRange,
    RestsOn,
    RunTotals,
    WaitingItem,
)
from billing.books.bounds import PastStatement
from billing.books.postgres_finalising import paid_already_reason, voided_sentence
from billing.books.postgres_periods import beyond_whole_sentence, other_terms_sentence
from billing.books.posting import CarryHead, Finalising, LedgerTransaction, finalise
from billing.books.run_posting import post_bills
from billing.books.runs import BillingRun
from billing.books.statements import PayeeState, Planned, PostedStatement, Statement, payee_state, plan_group
from billing.books.states import OPEN, POSTED, RUN, Move, Transition, check_move
from billing.errors import PostingConflictError, StateError
from billing.rating.preconditions import overlap_sentence
from billing.rating.rated_lines import PayeeBill, SettledLine
from ingestion.contract.periods import Period
from tests.billing_fakes import in_period

Method = TypeVar("Method", bound=Callable[..., Any])


def check_approver(statement: Statement, state: str, run: BillingRun, actor: str) -> None:
    """Refuse that one person both runs and approves a statement, and that a run approves one above its limit.

    Raises:
        StateError: names the person who ran it.
    """
    if state == "calculated":
        if actor != RUN or statement.earned_micros > run.approval_limit_micros:
            raise StateError(f"statement {statement.statement_id} is above the approval limit of its run")
    elif actor in (RUN, run.actor):
        raise StateError(f"statement {statement.statement_id} was made by {run.actor}; someone else must approve it")


def one_transaction(method: Method) -> Method:
    """Let nobody see what a method of the books has done in part."""

    @wraps(method)
    def alone(books: "FakeBooks", *words: object, **named: object) -> object:
        with books.lock:
            return method(books, *words, **named)

    return cast("Method", alone)


class FakeBooks:
    """Implements `Books`, `StatementReader` and `States` of `billing.books.book_ports` in memory."""

    def __init__(self) -> None:
        self.runs: dict[str, BillingRun] = {}
        self.statements: dict[str, Statement] = {}
        self.lines: dict[str, tuple[SettledLine, ...]] = {}
        self.steps: defaultdict[tuple[str, str], list[Transition]] = defaultdict(list)
        self.transactions: list[LedgerTransaction] = []
        self.posted_at: dict[str, datetime] = {}
        self.notices: list[tuple[str, str, int]] = []
        self.lock = threading.RLock()
        self._now = datetime(2026, 12, 3, tzinfo=UTC)

    @one_transaction
    def begin(self, run: BillingRun) -> BillingRun:
        self._refuse_overlapping(run)
        known = self.rests_on(run.period)
        if run.kind == "bill" and known and (sentence := other_terms_sentence(run, known)):
            raise PostingConflictError([sentence])
        stored = self.runs.setdefault(run.run_id, run)
        return replace(run, approval_limit_micros=stored.approval_limit_micros)

    @one_transaction
    def rests_on(self, period: Period) -> RestsOn | None:
        posted = {each.run_id for each in self.statements.values() if each.period == period and self._in_force(each)}
        for run_id, run in reversed(self.runs.items()):
            if run_id in posted:
                return RestsOn(run.batch_version, run.catalogue_version, run.contract_version, run.currency)
        return None

    @one_transaction
    def is_unfinished(self, period: Period) -> bool:
        states = {self.state(each) for each in self.statements.values() if each.period == period}
        return "calculated" in states or not states & POSTED

    @one_transaction
    def beyond_whole(self) -> list[str]:
        posted = [each for each in self.statements.values() if self._in_force(each)]
        return [beyond_whole_sentence(video, day, day, ppm) for video, day, ppm in self._beyond(posted, posted)]

    @one_transaction
    def restatement_number(self, run: BillingRun) -> int:
        of_period = [each for each in self.runs.values() if each.period == run.period]
        if not of_period:
            return 0
        newest = max(of_period, key=lambda each: each.restatement_number)
        same = vars(newest) | {"restatement_number": 0, "cause": ""}
        versions = ("batch_version", "catalogue_version", "contract_version")
        again = all(same[name] == vars(run)[name] for name in versions)
        return newest.restatement_number if newest.restatement_number and again else newest.restatement_number + 1

    @one_transaction
    def calculate(self, run: BillingRun, bills: Sequence[PayeeBill], payees: PayeeRange) -> list[Planned]:
        planned = plan_group(run, bills, self._states(run, bills, payees))
        for each in planned:
            if each.is_new:
                self._store(run, each)
        return planned

    @one_transaction
    def preview(self, run: BillingRun, bills: Sequence[PayeeBill], payees: PayeeRange) -> list[Planned]:
        return plan_group(run, bills, self._states(run, bills, payees))

    @one_transaction
    def run_totals(self, run: BillingRun) -> RunTotals:
        def earned(period: Period, states: frozenset[str] | None) -> int:
            return sum(
                each.earned_micros
                for each in self.statements.values()
                if each.period == period
                and (self.state(each) in states if states else self.state(each) not in ("voided", "superseded"))
            )

        periods = {each.period for each in self.statements.values() if each.period.end_on <= run.period.start_on}
        past = [earned(period, POSTED) for period in sorted(periods, key=lambda each: each.end_on, reverse=True)]
        return RunTotals(earned(run.period, None), tuple(past[:6]))

    @one_transaction
    def finalise(self, run_id: str, after: str, count_max: int) -> Finalised:
        run = self.runs[run_id]
        if run.kind == "restatement":
            return self._finalise_restated(run)
        ready = [each for each in self.statements.values() if each.run_id == run_id and each.payee_id > after]
        ready = [each for each in ready if self.state(each) in ("calculated", "approved")]
        ready = sorted(ready, key=lambda each: each.payee_id)[:count_max]
        posted = [each for each in self.statements.values() if self._in_force(each)]
        held = {
            each.payee_id: paid_already_reason(*found[0])
            for each in ready
            if (found := self._beyond([each], [*posted, *ready]))
        }
        for each in ready:
            if each.payee_id in held:
                self._step("statement", each.statement_id, Move("held", RUN, held[each.payee_id]))
            else:
                self._finalise(each)
        last = ready[-1].payee_id if ready else None
        earned = [each.earned_micros for each in ready if each.payee_id not in held]
        return Finalised(len(earned), sum(earned), last, tuple(held.items()))

    def _finalise_restated(self, run: BillingRun) -> Finalised:
        of_period = [each for each in self.statements.values() if each.period == run.period]
        restated = [each for each in of_period if self.runs[each.run_id].kind == "restatement"]
        if any(self.state(each) in ("calculated", "in_review", "held") for each in restated):
            return Finalised()
        ready = [each for each in restated if self.state(each) == "approved"]
        self._refuse_half_of_other_terms(restated, run.period)
        replaced = {each.payee_id for each in ready}
        left = [each for each in self.statements.values() if self._in_force(each) and each.period != run.period]
        left += [each for each in of_period if self._in_force(each) and each.payee_id not in replaced]
        if found := self._beyond(ready, [*left, *ready]):
            raise PostingConflictError([paid_already_reason(*found[0]).replace("with it ", "", 1)])
        for each in sorted(ready, key=lambda each: each.payee_id):
            self._finalise(each)
        return Finalised(len(ready), sum(each.earned_micros for each in ready))

    def _refuse_half_of_other_terms(self, restated: Sequence[Statement], period: Period) -> None:
        known, replaced = self.rests_on(period), {each.supersedes for each in self.statements.values()}
        approved = {each.run_id for each in restated if self.state(each) == "approved"}
        for each in sorted(restated, key=lambda each: each.payee_id):
            run = self.runs[each.run_id]
            is_voided = self.state(each) == "voided" and each.statement_id not in replaced and each.run_id in approved
            if known and is_voided and other_terms_sentence(run, known):
                raise PostingConflictError([voided_sentence(each.payee_id, run.restatement_number)])

    def _beyond(self, own: Iterable[Statement], among: Iterable[Statement]) -> list[tuple[str, date, int]]:
        """Return (video, day, sum of shares) for the days of a video that some statements pay beyond the whole."""
        owned, shares = set[tuple[str, date]](), defaultdict[tuple[str, date], dict[str, int]](dict)
        for statement in among:
            for line in (settled.line for settled in self.lines[statement.statement_id]):
                for ordinal in range(line.owned_from_on.toordinal(), line.owned_to_on.toordinal()):
                    place = (line.video_id, date.fromordinal(ordinal))
                    shares[place][statement.statement_id] = line.share_ppm
        for statement in own:
            owned |= {place for place, held in shares.items() if statement.statement_id in held}
        sums = {place: sum(shares[place].values()) for place in sorted(owned)}
        return [(*place, total) for place, total in sums.items() if total > 1_000_000]

    @one_transaction
    def decisions(self, kind: str, places: Sequence[str]) -> Mapping[str, Transition]:
        steps = {place: self.steps[kind, place] for place in places}
        return {place: taken[-1] for place, taken in steps.items() if taken}

    @one_transaction
    def billed_periods(self) -> list[Period]:
        return sorted({each.period for each in self.runs.values()}, key=lambda period: period.start_on)

    @one_transaction
    def runs_with_approved(self) -> list[str]:
        return sorted({each.run_id for each in self.statements.values() if self.state(each) == "approved"})

    @one_transaction
    def totals(self) -> list[LedgerTotals]:
        return [self._totals_in(currency) for currency in sorted({each.currency for each in self.transactions})]

    @one_transaction
    def balances(self, *, posted_before: datetime, effective_until: datetime) -> list[Balance]:
        found: defaultdict[tuple[str, str], int] = defaultdict(int)
        for each in self.transactions:
            if self.posted_at[each.transaction_id] < posted_before and each.effective_at <= effective_until:
                for entry in each.entries:
                    found[each.currency, entry.account] += entry.amount_micros
        return [Balance(account, currency, micros) for (currency, account), micros in sorted(found.items())]

    @one_transaction
    def statement(self, payee_id: str, period: Period, restatement_number: int | None = None) -> PostedStatement | None:
        found = [
            each
            for each in self.statements.values()
            if (each.payee_id, each.period) == (payee_id, period)
            and restatement_number in (None, each.restatement_number)
        ]
        found.sort(key=lambda each: (self.state(each) != "voided", each.restatement_number))
        if not found:
            return None
        newest, run = found[-1], self.runs[found[-1].run_id]
        posted = [each for each in self.transactions if each.kind in ("statement", "suspense") and each.chained]
        ids = {each.chained.statement_id: each.transaction_id for each in posted if each.chained}
        return PostedStatement(
            newest,
            self.lines[newest.statement_id],
            self.state(newest),
            run.batch_version,
            run.catalogue_version,
            run.contract_version,
            run.calculated_at,
            self.posted_at.get(ids.get(newest.statement_id, "")),
        )

    @one_transaction
    def move(self, kind: str, subject_id: str, move: Move) -> Transition:
        newest = self.steps[kind, subject_id][-1:]
        if newest and Move(newest[0].to_state, newest[0].actor, newest[0].reason) == move:
            return newest[0]
        return self._step(kind, subject_id, move)

    @one_transaction
    def transitions(self, kind: str, subject_id: str) -> list[Transition]:
        return list(self.steps[kind, subject_id])

    def _in_force(self, statement: Statement) -> bool:
        return self.state(statement) in POSTED

    @one_transaction
    def state(self, statement: Statement) -> str:
        return self.steps["statement", statement.statement_id][-1].to_state

    def _step(self, kind: str, subject_id: str, move: Move) -> Transition:
        steps = self.steps[kind, subject_id]
        state = steps[-1].to_state if steps else OPEN
        check_move(kind, subject_id, state, move.to_state)
        if kind == "statement" and move.to_state == "approved":
            statement = self.statements[subject_id]
            check_approver(statement, state, self.runs[statement.run_id], move.actor)
        steps.append(Transition(state, move.to_state, move.actor, move.reason, self._tick()))
        return steps[-1]

    def _store(self, run: BillingRun, planned: Planned) -> None:
        statement = planned.statement
        assert statement.statement_id not in self.statements
        self.statements[statement.statement_id] = statement
        self.lines[statement.statement_id] = planned.lines
        for move in planned.moves:
            self._step("statement", statement.statement_id, move)
        if planned.replaced:
            reason = f"recalculated by run {run.run_id}"
            self._step("statement", planned.replaced.statement_id, Move("superseded", RUN, reason))

    def _finalise(self, statement: Statement) -> None:
        same = [each for each in self.statements.values() if each.payee_id == statement.payee_id]
        posted = [each for each in same if each.period == statement.period and self.state(each) in POSTED]
        for transaction in finalise(Finalising(statement, self._head(statement), posted[0] if posted else None)):
            self.transactions.append(transaction)
            self.posted_at[transaction.transaction_id] = self._tick()
        if self.state(statement) == "calculated":
            self._step("statement", statement.statement_id, Move("approved", RUN))
        self._step("statement", statement.statement_id, Move("finalised", RUN))
        for old in posted:
            self._step("statement", old.statement_id, Move("superseded", RUN))
            delta_micros = statement.earned_micros - old.earned_micros
            self.notices.append((statement.payee_id, statement.statement_id, delta_micros))

    def _head(self, statement: Statement) -> CarryHead:
        chain = [
            each.chained
            for each in self.transactions
            if (each.payee_id, each.currency) == (statement.payee_id, statement.currency) and each.chained
        ]
        return CarryHead(chain[-1].payee_sequence, chain[-1].carried_nanomicros_after) if chain else CarryHead()

    def _states(self, run: BillingRun, bills: Sequence[PayeeBill], payees: PayeeRange) -> dict[str, PayeeState]:
        known = {bill.payee_id for bill in bills}
        for each in self.statements.values():
            if each.payee_id in payees and (each.period == run.period or each.period.end_on <= run.period.start_on):
                known.add(each.payee_id)
        return {payee_id: self._state_of(run, payee_id) for payee_id in known}

    def _state_of(self, run: BillingRun, payee_id: str) -> PayeeState:
        of_payee = [each for each in self.statements.values() if each.payee_id == payee_id]
        now = sorted((each for each in of_payee if each.period == run.period), key=lambda each: each.restatement_number)
        past = [
            each
            for each in of_payee
            if each.period.end_on <= run.period.start_on
            and each.currency == run.currency
            and self.state(each) in POSTED
        ]
        past.sort(key=lambda each: each.period.end_on, reverse=True)
        chain = [
            each.chained.carried_nanomicros_after
            for each in self.transactions
            if (each.payee_id, each.currency) == (payee_id, run.currency) and each.chained
        ]
        return payee_state(
            [(each, self.state(each)) for each in now],
            chain[-1] if chain else 0,
            [PastStatement(str(each.period), each.earned_micros, each.billable_views) for each in past],
        )

    def _refuse_overlapping(self, run: BillingRun) -> None:
        periods = {each.period for each in self.runs.values()} - {run.period}
        start, end = run.period.start_on, run.period.end_on
        if others := sorted(str(each) for each in periods if each.start_on < end and start < each.end_on):
            raise PostingConflictError([overlap_sentence(str(run.period), other) for other in others])

    def _totals_in(self, currency: str) -> LedgerTotals:
        chained = [(each, each.chained) for each in self.transactions if each.currency == currency and each.chained]
        signed = [
            (-1 if each.kind == "reversal" else 1, settled)
            for each, chain in chained
            for settled in self.lines[chain.statement_id]
        ]
        heads = {each.payee_id: chain.carried_nanomicros_after for each, chain in chained}
        remainders = sum(chain.remainder_micros for _, chain in chained)
        return LedgerTotals(
            currency,
            payee_count=len(heads),
            transaction_count=len(chained),
            billable_views=sum(sign * each.line.quantity for sign, each in signed if each.line.kind == "views"),
            lines_micros=sum(sign * each.amount_micros for sign, each in signed) + remainders,
            carried_nanomicros=sum(heads.values()),
            owed_nanomicros=sum(sign * each.line.owed_nanomicros for sign, each in signed),
        )

    def _tick(self) -> datetime:
        self._now += timedelta(milliseconds=1)
        return self._now


def post(books: FakeBooks, run: BillingRun, bills: Sequence[PayeeBill]) -> list[LedgerTransaction]:
    """Bill a run's payees and return the transactions it posted."""
    before = len(books.transactions)
    post_bills(run, sorted((in_period(bill, run.period) for bill in bills), key=lambda bill: bill.payee_id), books)
    return books.transactions[before:]


class FakeEstimates:
    """Implements `billing.books.book_ports.Estimates` in memory."""

    def __init__(self) -> None:
        self._kept: dict[Period, tuple[list[Estimate], datetime]] = {}

    def replace(
        self, period: Period, estimates: Sequence[Estimate], batch_version: int, estimated_at: datetime
    ) -> None:
        self._kept[period] = (list(estimates), estimated_at)

    def drop(self, billed: Sequence[Period]) -> None:
        self._kept = {period: kept for period, kept in self._kept.items() if period not in billed}

    def of_payee(self, payee_id: str) -> list[tuple[Period, Estimate, datetime]]:
        kept = sorted(self._kept.items(), key=lambda item: item[0].start_on, reverse=True)
        return [(period, each, at) for period, (found, at) in kept for each in found if each.payee_id == payee_id]


class FakeWaitingWork:
    """Implements `billing.books.book_ports.WaitingWork` in memory."""

    def __init__(self) -> None:
        self.items: dict[str, list[WaitingItem]] = {}
        self.counts: dict[str, int] = {}

    def replace(
        self,
        kind: str,
        items: Sequence[WaitingItem],
        waiting_count: int,
        *,
        batch_version: int,
        counted_at: datetime,
    ) -> None:
        self.items[kind], self.counts[kind] = list(items), waiting_count
