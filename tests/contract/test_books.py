"""The contract of `billing.books.book_ports`: statements, steps, the ledger; on the fake and on a real PostgreSQL."""

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from billing.books.book_ports import Books, Estimate, Estimates, Finalised, PayeeRange, StatementReader, States
from billing.books.postgres_books import PostgresBooks
from billing.books.postgres_estimates import PostgresEstimates
from billing.books.postgres_statement import PostgresStatements
from billing.books.postgres_states import PostgresStates
from billing.books.run_posting import RunSummary, finalise_run, post_bills
from billing.books.runs import NOBODY_ALONE, BillingRun
from billing.books.states import ALLOWED, Move
from billing.errors import DatabaseRefusedError, PostingConflictError, StateError
from billing.postgres_session import connector
from billing.rating.rated_lines import PayeeBill
from ingestion.contract.periods import Period
from tests.billing_fakes import NOVEMBER, OCTOBER, bill, in_period, line, run_of
from tests.billing_postgres import own_database
from tests.books_fakes import FakeBooks, FakeEstimates
from tests.postgres_people import second_person

EVER = datetime(9999, 1, 1, tzinfo=UTC)


@dataclass
class Scene:
    """The books with everything that is done to them."""

    books: Books
    reader: StatementReader
    states: States
    """In the role of the approver."""
    payout_states: States
    """In the role of billing, the only one that may move payouts; it approves none."""

    def bill(self, run: BillingRun, *bills: PayeeBill) -> RunSummary:
        of_period = (in_period(each, run.period) for each in bills)
        return post_bills(run, sorted(of_period, key=lambda each: each.payee_id), self.books)

    def approve(self, payee_id: str, actor: str, period: Period = OCTOBER) -> int:
        """Approve a payee's newest statement and post what is ready of its run."""
        found = self.reader.statement(payee_id, period)
        assert found is not None
        self.states.move("statement", found.statement.statement_id, Move("approved", actor, "looked at"))
        return finalise_run(found.statement.run_id, self.books).statement_count

    def state(self, payee_id: str, number: int | None = None, period: Period = OCTOBER) -> str:
        found = self.reader.statement(payee_id, period, number)
        return found.state if found else ""

    def balance(self, account: str, *, posted_before: datetime = EVER, effective_until: datetime = EVER) -> int:
        balances = self.books.balances(posted_before=posted_before, effective_until=effective_until)
        assert sum(each.balance_micros for each in balances) == 0
        return sum(each.balance_micros for each in balances if each.account == account)

    def assert_adds_up(self) -> None:
        assert all(each.difference_nanomicros == 0 for each in self.books.totals())


@pytest.fixture(params=["fake", "postgres"])
def scene(request: pytest.FixtureRequest) -> Iterator[Scene]:
    if request.param == "fake":
        fake = FakeBooks()
        yield Scene(fake, fake, fake, fake)
    else:
        with own_database(request.getfixturevalue("postgres_url")) as url:
            billing, approver = (
                connector(url, "viewledger_billing"),
                connector(second_person(url), "viewledger_approver"),
            )
            states = PostgresStates(approver), PostgresStates(billing)
            yield Scene(PostgresBooks(billing), PostgresStatements(billing), *states)


def test_nothing_is_there_at_first(scene: Scene) -> None:
    assert scene.books.totals() == []
    assert scene.reader.statement("ann", OCTOBER) is None
    assert scene.balance("payable:ann") == 0


def test_a_statement_gives_back_what_was_calculated_and_every_step(scene: Scene) -> None:
    lines = [line("video-1", 333, 1001), line("video-2", 7, 999, "US")]
    summary = scene.bill(run_of(), bill("ann", *lines), bill("bob"))
    assert (summary.new_count, summary.posted_count) == (2, 2)
    posted = scene.reader.statement("ann", OCTOBER)
    assert posted is not None
    assert [settled.line for settled in posted.lines] == lines
    assert (posted.batch_version, posted.catalogue_version, posted.contract_version) == (3, 1, 1)
    assert posted.posted_at is not None
    steps = scene.reader.transitions("statement", posted.statement.statement_id)
    assert [(each.from_state, each.to_state, each.actor) for each in steps] == [
        ("open", "calculated", "run"),
        ("calculated", "approved", "run"),
        ("approved", "finalised", "run"),
    ]
    assert [each.moved_at for each in steps] == sorted(each.moved_at for each in steps)
    scene.assert_adds_up()


def test_billing_again_changes_nothing_and_says_so(scene: Scene) -> None:
    first = scene.bill(run_of(), bill("ann"), bill("bob"))
    totals = scene.books.totals()
    again = scene.bill(run_of(), bill("ann"), bill("bob"))
    assert (again.new_count, again.posted_count, again.unchanged_count) == (0, 0, 2)
    assert (again.earned_micros, again.carried_nanomicros) == (first.earned_micros, first.carried_nanomicros)
    assert scene.books.totals() == totals


def test_a_dry_run_shows_the_same_and_stores_nothing(scene: Scene) -> None:
    dry = post_bills(run_of(), [bill("ann")], scene.books, dry_run=True)
    assert scene.books.totals() == []
    real = scene.bill(run_of(), bill("ann"))
    assert (dry.new_count, dry.earned_micros, dry.posted_count) == (1, real.earned_micros, 0)


def test_the_remainder_is_carried_into_the_next_period_of_the_same_payee(scene: Scene) -> None:
    third = line("video-a", 1, 1333)
    scene.bill(run_of(OCTOBER), bill("ann", third), bill("bob", line("video-b", 1, 400)))
    scene.bill(run_of(NOVEMBER), bill("ann", third), bill("bob", line("video-b", 1, 400)))
    found = scene.reader.statement("ann", NOVEMBER)
    assert found is not None
    carried = (found.statement.carried_nanomicros_before, found.statement.carried_nanomicros_after)
    assert carried == (333_000_000, 666_000_000)
    (totals,) = scene.books.totals()
    assert (totals.payee_count, totals.transaction_count, totals.billable_views) == (2, 4, 4)
    assert (totals.lines_micros, totals.carried_nanomicros) == (2, 1_466_000_000)
    scene.assert_adds_up()


def test_each_currency_carries_its_own_remainder(scene: Scene) -> None:
    scene.bill(run_of(OCTOBER), bill("ann", line(views=1, rate=700)))
    scene.bill(run_of(NOVEMBER, currency="EUR"), bill("ann", line(views=1, rate=600), currency="EUR"))
    carried = [(each.currency, each.carried_nanomicros) for each in scene.books.totals()]
    assert carried == [("EUR", 600_000_000), ("USD", 700_000_000)]


def test_a_payee_who_joins_later_is_added_to_the_period(scene: Scene) -> None:
    scene.bill(run_of(), bill("ann"))
    summary = scene.bill(run_of(batch_version=4), bill("ann"), bill("bob"))
    assert (summary.posted_count, summary.unchanged_count) == (1, 1)
    assert scene.state("bob") == "finalised"


def test_what_would_now_be_another_posted_statement_is_named_and_left_and_the_others_are_posted(scene: Scene) -> None:
    scene.bill(run_of(), bill("zoe"), bill("yan"))
    balance = scene.balance("payable:zoe")
    summary = scene.bill(run_of(batch_version=4), bill("ann"), bill("zoe", line(views=999)))
    assert summary.changed_count == 2
    assert "payee yan was billed 2.500000 USD for period 2026-10-01/2026-11-01 in run" in summary.changed[0]
    assert "it needs a restatement" in summary.changed[1]
    assert scene.balance("payable:zoe") == balance
    assert scene.state("ann") == "finalised"


@pytest.mark.parametrize("text", ["2026-10-31/2026-11-02", "2026-10-05/2026-10-06", "2026-09-01/2027-01-01"])
def test_a_period_that_shares_days_with_a_billed_one_is_refused_and_previewed(scene: Scene, text: str) -> None:
    scene.bill(run_of(OCTOBER))
    run = run_of(Period.parse(text))
    with pytest.raises(PostingConflictError, match="would be paid twice"):
        post_bills(run, [bill("bob")], scene.books)
    assert post_bills(run, [bill("bob")], scene.books, dry_run=True).earned_micros == 2_500_000
    assert scene.books.billed_periods() == [OCTOBER]


def test_four_runs_at_once_post_each_payee_once(scene: Scene) -> None:
    start = threading.Barrier(4)
    bills = [bill(f"payee-{index:03}", line(views=index + 1, rate=1001)) for index in range(200)]

    def bill_at_once(_: int) -> int:
        start.wait()
        return scene.bill(run_of(), *bills).posted_count

    with ThreadPoolExecutor(4) as pool:
        posted = list(pool.map(bill_at_once, range(4)))
    assert sum(posted) == 200
    (totals,) = scene.books.totals()
    assert (totals.transaction_count, totals.difference_nanomicros) == (200, 0)


def test_runs_of_two_periods_at_once_keep_the_chain_of_remainders(scene: Scene) -> None:
    start = threading.Barrier(2)
    bills = [bill(f"payee-{index:03}", line(views=1, rate=333)) for index in range(100)]

    def bill_at_once(period: Period) -> None:
        start.wait()
        scene.bill(run_of(period), *bills)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(bill_at_once, [OCTOBER, NOVEMBER]))
    (totals,) = scene.books.totals()
    assert (totals.transaction_count, totals.carried_nanomicros) == (200, 66_600_000_000)
    scene.assert_adds_up()


def test_a_statement_posted_after_another_period_still_pays_every_micro(scene: Scene) -> None:
    october = run_of(OCTOBER, approval_limit_micros=-1)
    scene.bill(october, bill("ann", line(views=1, rate=600)))  # calculated from a carry of 0, and waits
    scene.bill(run_of(NOVEMBER), bill("ann", line(views=1, rate=700)))  # posted meanwhile: carries 0.7
    assert scene.balance("payable:ann") == 0
    assert scene.approve("ann", "max") == 1
    assert scene.balance("payable:ann") == -1  # 0.6 + 0.7 = one micro and 0.3
    (totals,) = scene.books.totals()
    assert (totals.lines_micros, totals.carried_nanomicros) == (1, 300_000_000)
    scene.assert_adds_up()


def test_a_statement_above_the_limit_waits_for_someone_other_than_the_runner(scene: Scene) -> None:
    summary = scene.bill(run_of(approval_limit_micros=2_499_999), bill("ann"), bill("bob", line(views=9)))
    assert (summary.posted_count, scene.state("ann"), scene.state("bob")) == (1, "in_review", "finalised")
    with pytest.raises(StateError, match="was made by eve; someone else must approve it"):
        scene.approve("ann", "eve")
    assert scene.balance("payable:ann") == 0
    assert scene.approve("ann", "max") == 1
    assert (scene.state("ann"), scene.balance("payable:ann")) == ("finalised", -2_500_000)


def test_what_is_out_of_bounds_is_held_with_its_reason_and_nothing_is_posted(scene: Scene) -> None:
    for month in ("2026-07", "2026-08", "2026-09"):
        scene.bill(run_of(Period.parse(month)), bill("ann", line(views=100_000)), bill("bob", line(views=100_000)))
    summary = scene.bill(run_of(), bill("ann", line(views=2_000_000)))
    assert [(payee, state) for payee, state, _ in summary.waiting] == [("ann", "held"), ("bob", "held")]
    assert "a change of more than 10 times" in summary.waiting[0][2]
    assert "no billable views, and 100,000 in 2026-09-01/2026-10-01" in summary.waiting[1][2]
    assert summary.posted_count == 0
    found = scene.reader.statement("bob", OCTOBER)
    assert found is not None
    assert (found.statement.earned_micros, found.lines) == (0, ())


def test_a_run_that_is_out_of_bounds_as_a_whole_says_so_and_delays_nobody(scene: Scene) -> None:
    for month in ("2026-07", "2026-08", "2026-09"):
        scene.bill(run_of(Period.parse(month)), bill("ann", line(views=100_000)))
    new = [bill(f"new-{index}", line(views=900_000)) for index in range(3)]
    summary = scene.bill(run_of(), bill("ann", line(views=100_000)), *new)
    assert (summary.posted_count, summary.waiting) == (4, [])
    assert "the run is 7.000000 USD" in summary.warnings[0] or "a change of more than 10 times" in summary.warnings[0]
    assert scene.state("ann") == scene.state("new-0") == "finalised"


def test_a_statement_that_is_not_posted_is_recalculated_when_its_inputs_change(scene: Scene) -> None:
    scene.bill(run_of(approval_limit_micros=-1), bill("ann"))
    summary = scene.bill(run_of(batch_version=4), bill("ann", line(views=999)))
    assert (scene.state("ann", 0), scene.state("ann", 1)) == ("superseded", "in_review")
    assert "replaces a statement that was in_review" in summary.waiting[0][2]
    scene.approve("ann", "max")
    assert scene.balance("payable:ann") == -2_497_500
    scene.assert_adds_up()


def restatement(number: int, **changes: object) -> BillingRun:
    values = {"batch_version": 3 + number, "cause": "late events", "approval_limit_micros": NOBODY_ALONE}
    return run_of(restatement_number=number, **(values | changes))


def test_a_restatement_waits_then_reverses_and_posts_again_on_the_original_period(scene: Scene) -> None:
    scene.bill(run_of(), bill("ann", line(views=1, rate=1333)), bill("bob"))
    summary = scene.bill(restatement(1), bill("ann", line(views=3, rate=1333)), bill("bob"))
    assert (summary.deltas, summary.delta_micros, summary.unchanged_count) == ([("ann", 1, 3)], 2, 1)
    assert (scene.state("ann", 0), scene.state("ann", 1)) == ("finalised", "in_review")
    assert scene.balance("payable:ann") == -1
    with pytest.raises(StateError, match="was made by eve; someone else must approve it"):
        scene.approve("ann", "eve")
    scene.approve("ann", "max")
    assert (scene.state("ann", 0), scene.state("ann", 1)) == ("superseded", "finalised")
    assert scene.balance("payable:ann") == -3  # 3 × 1.333 = 3.999
    assert scene.balance("payable:ann", effective_until=OCTOBER.end_at) == -3
    (totals,) = scene.books.totals()
    assert totals.carried_nanomicros == 999_000_000
    scene.assert_adds_up()


def test_restatements_go_up_and_down_to_nothing_and_back(scene: Scene) -> None:
    amounts = []
    scene.bill(run_of(), bill("ann", line(views=7, rate=1001)))
    for number, views in enumerate((11, 2, 0, 5), start=1):
        scene.bill(restatement(number), *([bill("ann", line(views=views, rate=1001))] if views else []))
        scene.approve("ann", "max")
        amounts.append(-scene.balance("payable:ann"))
        scene.assert_adds_up()
    assert amounts == [11, 2, 0, 5]


def test_a_voided_restatement_leaves_the_posted_statement_in_force(scene: Scene) -> None:
    scene.bill(run_of(), bill("ann"))
    scene.bill(restatement(1), bill("ann", line(views=999)))
    found = scene.reader.statement("ann", OCTOBER, 1)
    assert found is not None
    scene.states.move("statement", found.statement.statement_id, Move("voided", "max", "not a real change"))
    assert scene.state("ann") == "finalised"
    assert scene.bill(run_of(batch_version=5), bill("ann")).unchanged_count == 1
    scene.bill(restatement(2), bill("ann", line(views=998)))
    scene.approve("ann", "max")
    assert (scene.state("ann", 2), scene.balance("payable:ann")) == ("finalised", -2_495_000)
    scene.assert_adds_up()


def test_a_restatement_that_is_run_again_keeps_its_number_and_a_later_version_gets_the_next(scene: Scene) -> None:
    assert scene.books.restatement_number(run_of()) == 0
    scene.bill(run_of(), bill("ann"))
    assert scene.books.restatement_number(run_of(batch_version=4)) == 1
    scene.bill(restatement(1), bill("ann", line(views=999)))
    assert scene.books.restatement_number(run_of(batch_version=4)) == 1
    again = scene.bill(restatement(1), bill("ann", line(views=999)))
    assert (again.new_count, again.unchanged_count) == (0, 1)
    assert scene.books.restatement_number(run_of(batch_version=5)) == 2


def test_the_books_as_they_stood_on_a_day_do_not_know_what_was_posted_later(scene: Scene) -> None:
    scene.bill(run_of(), bill("ann"))
    posted = scene.reader.statement("ann", OCTOBER)
    assert posted is not None
    assert posted.posted_at is not None
    scene.bill(restatement(1), bill("ann", line(views=999)))
    scene.approve("ann", "max")
    just_after = posted.posted_at + timedelta(microseconds=1)
    assert scene.balance("payable:ann", posted_before=just_after) == -2_500_000
    assert scene.balance("payable:ann", posted_before=posted.posted_at) == 0
    assert scene.balance("payable:ann", effective_until=OCTOBER.start_at) == 0


def test_a_group_speaks_for_its_range_of_payees_only(scene: Scene) -> None:
    scene.bill(run_of(), *(bill(each) for each in ("Zoe", "ann", "bob", "eve")))
    planned = scene.books.preview(run_of(batch_version=4), [bill("bob")], PayeeRange("ann", "bob"))
    assert [each.payee_id for each in planned] == ["bob"]
    planned = scene.books.preview(run_of(batch_version=4), [], PayeeRange("Zoe", "ann"))
    assert [(each.payee_id, each.is_changed) for each in planned] == [("ann", True)]


def test_the_books_know_what_was_billed_and_what_was_approved_and_not_posted(scene: Scene) -> None:
    run = run_of(approval_limit_micros=NOBODY_ALONE)
    scene.bill(run, bill("ann"))
    scene.bill(run_of(NOVEMBER), bill("bob"))
    assert (scene.books.billed_periods(), scene.books.runs_with_approved()) == ([OCTOBER, NOVEMBER], [])
    found = scene.reader.statement("ann", OCTOBER)
    assert found is not None
    scene.states.move("statement", found.statement.statement_id, Move("approved", "max"))
    assert scene.books.runs_with_approved() == [run.run_id]
    assert finalise_run(run.run_id, scene.books) == Finalised(1, 2_500_000)
    assert scene.books.runs_with_approved() == []


@pytest.mark.parametrize("kind", ["fake", "postgres"])
def test_estimates_are_replaced_and_go_when_their_period_is_billed(request: pytest.FixtureRequest, kind: str) -> None:
    with ExitStack() as stack:
        estimates: Estimates = FakeEstimates()
        if kind == "postgres":
            url = stack.enter_context(own_database(request.getfixturevalue("postgres_url")))
            estimates = PostgresEstimates(connector(url, "viewledger_billing"))
        at = datetime(2026, 11, 5, tzinfo=UTC)
        estimates.replace(OCTOBER, [Estimate("ann", "USD", 5, 2), Estimate("bob", "USD", 7, 3)], 3, at)
        estimates.replace(NOVEMBER, [Estimate("ann", "USD", 1, 1)], 3, at)
        estimates.replace(OCTOBER, [Estimate("ann", "USD", 6, 3)], 4, at + timedelta(days=1))
        assert estimates.of_payee("ann") == [
            (NOVEMBER, Estimate("ann", "USD", 1, 1), at),
            (OCTOBER, Estimate("ann", "USD", 6, 3), at + timedelta(days=1)),
        ]
        assert estimates.of_payee("bob") == []
        estimates.drop([OCTOBER])
        assert [period for period, _, _ in estimates.of_payee("ann")] == [NOVEMBER]


# the steps of what is imported are the database's and a second person's: tests/integration/test_second_person.py
KINDS = sorted(ALLOWED.keys() - {"catalogue", "contract", "bank_account", "policy"})


@pytest.mark.parametrize("kind", KINDS)
def test_every_allowed_step_is_taken_and_no_other(scene: Scene, kind: str) -> None:
    """Walks from `open` to every state and tries every step from there; statements are tried in the ledger's tests.

    In PostgreSQL a step needs its subject: there the database refuses each first step of a hold, appeal or payout.
    That of a restore is the owner's alone.
    """
    if kind == "statement":
        return
    if isinstance(scene.states, PostgresStates) and kind not in ("late_event", "conflict"):
        states_of = scene.payout_states if kind.startswith("payout") else scene.states
        reason = "only in the role viewledger_owner" if kind == "restore" else f"there is no {kind} x"
        with pytest.raises(DatabaseRefusedError, match=reason):
            states_of.move(kind, "x", Move(sorted(ALLOWED[kind]["open"])[0], "max", "because"))
        return
    states = {to_state for targets in ALLOWED[kind].values() for to_state in targets}
    for number, state in enumerate(sorted(states)):
        subject = f"{kind}-{number}"
        for step in way_to(kind, state):
            by_billing = kind.startswith("payout") and step != "approved"
            states_of = scene.payout_states if by_billing else scene.states
            moved = [states_of.move(kind, subject, Move(step, "max", "because")) for _ in range(2)]
            assert moved[0] == moved[1], "the same step again is answered as it stands"
        for wrong in states - ALLOWED[kind].get(state, frozenset()):
            with pytest.raises(StateError, match=f"{subject} is {state} and cannot become {wrong}"):
                scene.states.move(kind, subject, Move(wrong, "max"))
        steps: Sequence[str] = [each.to_state for each in scene.states.transitions(kind, subject)]
        assert steps == way_to(kind, state)


def way_to(kind: str, state: str) -> list[str]:
    """Return the shortest way from `open`."""
    ways: list[list[str]] = [[]]
    while True:
        ways = [
            [*way, step] for way in ways for step in sorted(ALLOWED[kind].get(way[-1] if way else "open", frozenset()))
        ]
        for way in ways:
            if way[-1] == state:
                return way


def test_decisions_about_events_are_found_by_kind_and_place(scene: Scene) -> None:
    scene.states.move("late_event", "0:7", Move("rejected", "max", "a clock that went wrong"))
    scene.states.move("late_event", "0:8", Move("accepted", "max", "a real view"))
    scene.states.move("conflict", "0:9", Move("first_kept", "max", "the player was fixed"))
    places = ["0:7", "0:8", "0:9"]
    late = scene.books.decisions("late_event", places)
    assert {place: (step.to_state, step.actor, step.reason) for place, step in late.items()} == {
        "0:7": ("rejected", "max", "a clock that went wrong"),
        "0:8": ("accepted", "max", "a real view"),
    }
    assert {place: step.to_state for place, step in scene.books.decisions("conflict", places).items()} == {
        "0:9": "first_kept"
    }
    assert scene.books.decisions("conflict", []) == {}
