"""`viewledger billing` as a user runs it: on a real PostgreSQL, with settled views from memory."""

import json
import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import psycopg2
import pytest

import jobs.commands.billing.backtest
import jobs.commands.billing.conflicts
import jobs.commands.billing.late
import jobs.commands.billing.nightly
import jobs.commands.billing.run
from billing.rating.attribution import Attribution
from ingestion.contract.offsets import OffsetVector
from ingestion.contract.settled import MovedViews, SettledPiece
from ingestion.contract.traffic_groups import TrafficGroup
from ingestion.contract.traffic_policy import SHIPPED, TrafficPolicy
from ingestion.contract.version import DayRules, SeenTraffic
from jobs.cli import main
from jobs.exit_codes import ExitCode
from tests.billing_fakes import Count, FakeSettledViews, published
from tests.billing_postgres import own_database, put_in_force
from tests.command_runs import RunsCommands
from tests.postgres_people import second_person

RATES = Path(__file__).parents[2] / "deploy" / "sample" / "rates.yaml"
DAY = date(2026, 10, 5)


@dataclass
class Scene(RunsCommands):
    """A user's desk: files, a database, and the settled views that the next command finds."""

    group = "billing"

    folder: Path
    views: FakeSettledViews
    capture: pytest.CaptureFixture[str]

    def import_files(self, videos: str = "v,ann\nw,bob\n") -> int:
        (self.folder / "payees.csv").write_text("payee_id,name,user_id\nann,Ann,user-1\nbob,Bob,\n")
        (self.folder / "videos.csv").write_text("video_id,payee_id\n" + videos)
        files = [f"--{name}={self.folder / name}.csv" for name in ("payees", "videos")]
        code = main(["billing", "catalogue", "import", *files, f"--rates={RATES}", "--allow-removals=9"])
        put_in_force(os.environ["VIEWLEDGER_POSTGRES_URL"])
        return code


@pytest.fixture
def scene(
    tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Scene]:
    rows = [Count("v", DAY, "US", 9, 4), Count("v", DAY, None, 9, 2), Count("w", DAY, "FR", 1, 1)]
    scene = Scene(tmp_path, FakeSettledViews(rows, published()), capsys)

    @contextmanager
    def open_fake(_: object) -> Iterator[FakeSettledViews]:
        yield scene.views

    with own_database(postgres_url) as url:
        monkeypatch.setenv("VIEWLEDGER_POSTGRES_URL", url)
        monkeypatch.setenv("VIEWLEDGER_PSEUDONYM_KEY", "ab" * 32)
        for module in (
            jobs.commands.billing.run,
            jobs.commands.billing.nightly,
            jobs.commands.billing.late,
            jobs.commands.billing.conflicts,
            jobs.commands.billing.backtest,
        ):
            monkeypatch.setattr(module, "open_settled_views", open_fake)
        yield scene


def test_a_month_is_imported_billed_billed_again_and_shown(scene: Scene) -> None:
    assert scene.import_files() == ExitCode.OK
    first = scene.document("run", "--period", "2026-10")
    assert (first["posted_count"], first["billable_views"], first["line_count"]) == (2, 7, 3)
    # US 4 × 3500001 = 14000.004, default 2 × 1234567 = 2469.134 and 1 × 1234567 = 1234.567 micros
    assert (first["earned_micros"], first["carried_nanomicros"]) == (2469 + 14000 + 1234, 705_000_000)
    assert first["owed_nanomicros"] == 10**9 * first["earned_micros"] + first["carried_nanomicros"]
    again = scene.document("run", "--period", "2026-10-01/2026-11-01")
    assert (again["posted_count"], again["replayed_count"], again["run_id"]) == (0, 2, first["run_id"])
    assert scene.document("ledger", "totals")["USD"]["difference_nanomicros"] == 0
    code, out, _ = scene.run("statements", "show", "--payee", "ann", "--period", "2026-10")
    assert code == ExitCode.OK
    assert "0.016469 USD" in out
    bill = scene.document("statements", "show", "--payee", "ann", "--period", "2026-10")
    assert {line["provisional_views"] for line in bill["lines"]} == {0}
    assert sum(line["amount_micros"] for line in bill["lines"]) == bill["earned_micros"] == 16469


def test_importing_again_changes_nothing_and_says_so(scene: Scene) -> None:
    scene.import_files()
    code, out, _ = scene.run("catalogue", "import", f"--rates={RATES}")
    assert (code, out) == (ExitCode.OK, "rates version 3: 1 contracts, no change\n")


def test_no_raw_viewer_id_reaches_the_database(scene: Scene) -> None:
    scene.import_files()
    connection = psycopg2.connect(os.environ["VIEWLEDGER_POSTGRES_URL"])
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT user_id FROM billing.payees WHERE user_id IS NOT NULL")
        ((stored,),) = cursor.fetchall()
    connection.close()
    assert stored.startswith("viewer_")
    assert "user-1" not in stored


def test_wrong_files_are_refused_as_a_whole(scene: Scene) -> None:
    assert scene.import_files("v,ann\n#NAME?,ann\nw,zoe\n") == ExitCode.BAD_INPUT
    error = scene.capture.readouterr().err
    assert error.startswith("viewledger: nothing was done: the files have errors:\n")
    assert "videos.csv, line 3, column video_id: '#NAME?'" in error
    assert "videos.csv, line 4, column payee_id: 'zoe'" in error


def test_every_failed_precondition_is_named_and_nothing_is_posted(scene: Scene) -> None:
    scene.import_files()
    early = published(settled_until=datetime(2026, 11, 1, 12, tzinfo=UTC))
    scene.views = FakeSettledViews(scene.views.rows, early, differences=["a file is gone"])
    code, out, error = scene.run("run", "--period", "2026-10")
    assert (code, out) == (ExitCode.REFUSED, "")
    code, out, dry = scene.run("run", "--period", "2026-10", "--dry-run")
    assert (code, "0.017703 USD" in out) == (ExitCode.REFUSED, True), "the amounts are shown beside what blocks them"
    for name in ("settled: ", "reconciled: a file is gone"):
        assert name in error
        assert name in dry
    assert scene.document("ledger", "totals") == {}


def test_there_is_nothing_to_waive_and_old_scripts_are_told_so(scene: Scene) -> None:
    scene.import_files()
    code, out, error = scene.run("run", "--period", "2026-10", "--waive", "late_review", "--actor", "Eve")
    assert (code, out) == (ExitCode.BAD_INPUT, "")
    assert error == (
        "viewledger: --waive has nothing to waive: 'late_review'; no event keeps a period from being billed, "
        "leave the flag out\n./viewledger billing run --help shows its usage\n"
    )


def test_events_without_a_video_or_without_a_decision_are_said_and_everybody_is_billed(scene: Scene) -> None:
    scene.import_files("v,ann\nx,bob\n")
    scene.views = FakeSettledViews(scene.views.rows, published(), {"conflict": 3, "late_review": 1})
    document = scene.document("run", "--period", "2026-10")
    assert (document["posted_count"], document["unknown_views"], document["unknown_video_count"]) == (1, 1, 1)
    assert [each.partition(":")[0] for each in document["remarks"]] == ["unknown", "late_review", "conflict"]


def test_a_renamed_payee_is_not_paid_again_and_a_restatement_moves_it_whole(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.import_files()
    month = ["--period", "2026-10"]
    scene.document("run", *month)
    before = {each["account"]: each["balance_micros"] for each in scene.document("ledger", "balances")["balances"]}
    (scene.folder / "payees.csv").write_text("payee_id,name\nann2,Ann\nbob,Bob\n")
    (scene.folder / "videos.csv").write_text("video_id,payee_id\nv,ann2\nw,bob\n")
    files = [f"--{name}={scene.folder / name}.csv" for name in ("payees", "videos")]
    assert main(["billing", "catalogue", "import", *files, "--allow-removals", "1"]) == ExitCode.OK
    assert scene.document("run", *month)["posted_count"] == 0, "what waits for a second person changes nothing"
    put_in_force(os.environ["VIEWLEDGER_POSTGRES_URL"])
    code, _, error = scene.run("run", *month)
    assert code == ExitCode.REFUSED
    assert "(v: ann 100 % → ann2 100 %)" in error
    assert "--catalogue 4 --cause TEXT`" in error
    assert {
        each["account"]: each["balance_micros"] for each in scene.document("ledger", "balances")["balances"]
    } == before
    restated = scene.document("restate", *month, "--cause", "a new name", "--catalogue", "4", "--actor", "eve")
    assert restated["delta_by_cause"] == {"catalogue": 0}
    monkeypatch.setenv("VIEWLEDGER_APPROVER_POSTGRES_URL", second_person(os.environ["VIEWLEDGER_POSTGRES_URL"]))
    approve = ["statements", "approve", *month, "--actor", "max"]
    assert scene.document(*approve, "--payee", "ann2")["posted_count"] == 0, "not one side alone"
    assert scene.document(*approve, "--payee", "ann")["posted_count"] == 2
    after = {each["account"]: each["balance_micros"] for each in scene.document("ledger", "balances")["balances"]}
    assert (after["payable:ann"], after["payable:ann2"]) == (0, before["payable:ann"])
    notices = {each["payee_id"]: each["causes"] for each in scene.document("notices", "list")["notices"]}
    assert notices == {"ann": {"catalogue": before["payable:ann"]}}
    assert scene.run("ledger", "totals")[0] == ExitCode.OK


def test_views_paid_twice_past_the_rules_are_found(scene: Scene) -> None:
    scene.import_files()
    scene.document("run", "--period", "2026-10")
    connection = psycopg2.connect(os.environ["VIEWLEDGER_POSTGRES_URL"])
    with connection, connection.cursor() as cursor:
        cursor.execute(
            "ALTER TABLE billing.payment_audit DISABLE TRIGGER USER; UPDATE billing.payment_audit SET video_id = 'v'"
        )
    connection.close()
    code, out, _ = scene.run("ledger", "totals")
    assert code == ExitCode.DIFFERENCE
    assert "video v, 2026-10-01/2026-11-01: the statements in the ledger pay 2000000 parts per million" in out
    code, out, _ = scene.run("proof", "verify")
    assert (code, "pay 2000000 parts per million" in out) == (ExitCode.DIFFERENCE, True)


def test_other_counts_in_a_billed_period_are_a_named_conflict(scene: Scene) -> None:
    scene.import_files()
    scene.document("run", "--period", "2026-10")
    scene.views = FakeSettledViews([*scene.views.rows, Count("v", DAY, "GB", 1, 1)], published(version=4))
    code, _, error = scene.run("run", "--period", "2026-10")
    assert code == ExitCode.REFUSED
    assert "payee ann was billed 0.016469 USD for period 2026-10-01/2026-11-01" in error
    assert "it needs a restatement" in error


def test_counts_that_contradict_their_events_are_never_paid(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.import_files()
    monkeypatch.setattr(FakeSettledViews, "contradictions", lambda *_: ["video v, 2026-10-05: +1 views"])
    code, _, error = scene.run("run", "--period", "2026-10")
    assert code == ExitCode.DIFFERENCE
    assert "the batch version contradicts itself" in error


@pytest.mark.parametrize(
    ("words", "code", "answer"),
    [
        (["run", "--period", "October"], ExitCode.BAD_INPUT, "'October' is not a period; give a month"),
        (["statements", "show", "--payee=bob", "--period=2026-10"], ExitCode.BAD_INPUT, "there is no payee 'bob'"),
        (["catalogue", "import"], ExitCode.BAD_INPUT, "nothing to import"),
        (["catalogue", "import", "--payees", "x"], ExitCode.BAD_INPUT, "belong together"),
        (["catalogue", "import", "--rates", "/nonexistent"], ExitCode.BAD_INPUT, "cannot be read (No such file or dir"),
    ],
)  # fmt: skip
def test_wrong_words_get_one_clear_sentence(scene: Scene, words: list[str], code: ExitCode, answer: str) -> None:
    got, out, error = scene.run(*words)
    assert (got, out) == (code, "")
    assert answer in error
    assert "Traceback" not in error


def test_postgres_away_is_exit_4_and_one_sentence(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIEWLEDGER_POSTGRES_URL", "postgresql://nobody:secret@127.0.0.1:1/x")
    code, _, error = scene.run("ledger", "totals")
    assert code == ExitCode.UNAVAILABLE
    assert error.count("\n") == 1
    assert "secret" not in error


def test_a_wrong_setting_is_named_before_anything_connects(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIEWLEDGER_ALLOWED_LATENESS_HOURS", "a day")
    code, _, error = scene.run("run", "--period", "2026-10")
    assert (code, "VIEWLEDGER_ALLOWED_LATENESS_HOURS is 'a day'" in error) == (ExitCode.BAD_INPUT, True)


def test_a_backtest_shows_the_change_per_payee_and_stores_nothing(scene: Scene) -> None:
    scene.import_files()
    proposed, policy = scene.folder / "proposed.yaml", scene.folder / "policy.yaml"
    proposed.write_text(RATES.read_text().replace("3_500_001", "7_000_002"))
    policy.write_text("minimum_view_seconds: 61\nbillable_per_viewer_max: 4\nviewer_window_hours: 24\n")
    words = ["backtest", "--period", "2026-10"]
    document = scene.document(*words, f"--contract={proposed}")
    assert [(each["payee_id"], each["change_micros"]) for each in document["largest_changes"]] == [("ann", 14_000)]
    assert scene.document(*words, f"--policy={policy}")["proposed"]["views"] == 0
    assert scene.document("ledger", "totals") == {}
    assert scene.run(*words)[::2] == (
        ExitCode.BAD_INPUT,
        "viewledger: nothing to compare with; give --contract, --policy, or both, or --traffic-policy\n",
    )
    proposed.write_text(proposed.read_text().replace("USD", "EUR"))
    code, _, error = scene.run(*words, f"--contract={proposed}")
    assert (code, "pays in EUR and contract version 3 in USD" in error) == (ExitCode.BAD_INPUT, True)
    policy.write_text("minimum_view_seconds: none\n")
    code, _, error = scene.run(*words, f"--policy={policy}")
    assert (code, "policy.yaml, line 1, minimum_view_seconds: 'none' is not a whole number" in error) == (
        ExitCode.BAD_INPUT,
        True,
    )


@dataclass(frozen=True)
class TriedFewer:
    """A policy of traffic by which all views of one video would be under review. Implements `TriedTraffic`."""

    views: FakeSettledViews
    days = (DAY,)
    erased_days = (DAY + timedelta(days=1),)
    groups_now = 0
    groups_proposed = 1

    def pieces(self, attribution: Attribution) -> Iterator[SettledPiece]:
        left = [each for each in self.views.rows if each.video_id != "v"]
        return replace(self.views, rows=left).pieces(attribution)

    def moved(self, expired: Collection[TrafficGroup]) -> Iterator[MovedViews]:
        assert expired == []
        yield MovedViews(DAY, "paid", "under_review", "released", "v", "US", 4)
        yield MovedViews(DAY, "paid", "under_review", "", "v", "ZZ", 2)


def test_a_policy_of_traffic_is_priced_before_it_is_proposed_and_stores_nothing(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.import_files()
    asked: list[TrafficPolicy] = []

    @contextmanager
    def open_trial(_: object, policy: TrafficPolicy) -> Iterator[tuple[FakeSettledViews, object]]:
        asked.append(policy)
        yield scene.views, lambda days, report: TriedFewer(scene.views)

    monkeypatch.setattr(jobs.commands.billing.backtest, "open_traffic_trial", open_trial)
    file = scene.folder / "changes.yaml"
    words = ["backtest", "--period", "2026-10", f"--traffic-policy={file}"]
    assert scene.run(*words)[0] == ExitCode.BAD_INPUT, "there is no such file"
    file.write_text("hours_review: 20\n")
    code, _, error = scene.run(*words)
    assert (code, "has no event of period 2026-10" in error) == (ExitCode.BAD_INPUT, True)
    unjudged = DayRules(1, 1, 1)
    scene.views = replace(scene.views, version=replace(published(), day_rules={DAY: unjudged}))
    code, _, error = scene.run(*words)
    assert (code, "was judged by rules of traffic until batch version" in error) == (ExitCode.REFUSED, True)
    seen = SeenTraffic(OffsetVector("video-views", (9,)), 1, datetime(2026, 11, 9, tzinfo=UTC))
    scene.views = replace(scene.views, version=replace(published(), day_rules={DAY: replace(unjudged, seen=seen)}))
    code, out, _ = scene.run(*words, "--json")
    document = json.loads(out)
    assert (asked[-1].hours_review, asked[-1].hours_invalid) == (20, SHIPPED.hours_invalid)
    # US 4 × 3500001 = 14000.004 and default 2 × 1234567 = 2469.134 micros
    assert [(each["payee_id"], each["change_micros"]) for each in document["largest_changes"]] == [("ann", -16_469)]
    (move,) = document["moves"]
    assert move["all"] == {"event_count": 6, "micros": 16_469}
    assert (move["released"]["event_count"], move["confirmed"]["event_count"]) == (4, 0)
    assert document["erased_days"] == ["2026-10-06"]
    code, text, error = scene.run(*words)
    assert "1 day judged again (1 day left out, for viewers of it were forgotten or removed)" in text
    assert "groups for review: 1, and 0 now" in text
    assert "backtest: rate: the period as it is published and as it would be" in error
    assert scene.document("ledger", "totals") == {}
    file.write_text("hours_revue: 20\n")
    code, _, error = scene.run(*words)
    assert (code, "hours_revue" in error) == (ExitCode.BAD_INPUT, True)
    assert scene.run(*words, f"--policy={file}")[::2] == (
        ExitCode.BAD_INPUT,
        "viewledger: --traffic-policy is compared by itself; give it without --contract and --policy\n",
    )


def test_a_statement_above_the_limit_is_approved_by_another_and_restated_and_shown_with_its_steps(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIEWLEDGER_APPROVAL_LIMITS", "*=0")
    scene.import_files()
    month = ["--period", "2026-10"]
    assert scene.document("run", *month, "--actor", "eve")["posted_count"] == 0
    assert len(scene.document("statements", "list")["statements"]) == 2
    code, _, error = scene.run("statements", "approve", *month, "--payee", "ann", "--actor", "eve")
    assert (code, "made by the login viewledger; another login must approve it" in error) == (
        ExitCode.REFUSED,
        True,
    )
    monkeypatch.setenv("VIEWLEDGER_APPROVER_POSTGRES_URL", second_person(os.environ["VIEWLEDGER_POSTGRES_URL"]))
    code, _, error = scene.run("statements", "approve", *month, "--payee", "ann", "--actor", "eve")
    assert (code, "was made by eve; someone else must approve it" in error) == (ExitCode.REFUSED, True)
    assert scene.document("statements", "approve", *month, "--actor", "max", "--reason", "fine")["posted_count"] == 2
    scene.views = FakeSettledViews([*scene.views.rows, Count("v", DAY, "GB", 1, 1)], published(version=4))
    restate = ["restate", *month, "--cause", "one late view", "--actor", "eve"]
    preview = scene.document(*restate, "--preview")
    assert [each["payee_id"] for each in preview["deltas"]] == ["ann"]
    assert scene.document("statements", "list")["statements"] == []
    assert scene.document(*restate)["restatement_number"] == 1
    scene.document("statements", "approve", *month, "--actor", "max")
    shown = scene.document("statements", "show", "--payee", "ann", *month)
    assert (shown["restatement_number"], shown["state"]) == (1, "finalised")
    assert [each["to"] for each in shown["transitions"]] == ["calculated", "in_review", "approved", "finalised"]
    (notice,) = scene.document("notices", "list", "--payee", "ann")["notices"]
    delta = preview["deltas"][0]["now_micros"] - preview["deltas"][0]["before_micros"]
    assert (notice["delta_micros"], notice["cause"], notice["period"]) == (delta, "one late view", shown["period"])
    balances = {each["account"]: each["balance_micros"] for each in scene.document("ledger", "balances")["balances"]}
    assert -balances["payable:ann"] == shown["payable_micros"]
    assert scene.document("ledger", "balances", "--as-of", "2020-01-01")["balances"] == []
    assert scene.document("ledger", "totals")["USD"]["difference_nanomicros"] == 0


def test_a_night_goes_on_from_the_last_billed_month_and_a_second_one_bills_nothing(scene: Scene) -> None:
    scene.import_files()
    scene.document("run", "--period", "2026-10")
    first = scene.document("nightly", "--actor", "cron")["months"]
    assert first[0]["period"] == "2026-11-01/2026-12-01"
    assert {each["outcome"] for each in first} <= {"billed", "estimated"}  # which of them depends on today
    assert {each["outcome"] for each in scene.document("nightly", "--actor", "cron")["months"]} <= {"estimated"}


def test_a_night_names_what_the_bank_booked_otherwise(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.import_files()
    monkeypatch.setenv("VIEWLEDGER_STATE_DIR", str(scene.folder))
    monkeypatch.setattr(
        jobs.commands.billing.nightly, "bank_differences", lambda _: ["batch X, payee ann, payment 1: -1.00 EUR"]
    )
    code, out, _ = scene.run("nightly", "--actor", "cron")
    assert (code, "the bank differs: batch X, payee ann" in out) == (ExitCode.REFUSED, True)
    assert "viewledger_billing_bank_differences 1.0" in (scene.folder / "metrics" / "billing-held.prom").read_text()


def test_a_statement_that_is_held_is_never_paid_by_a_night_and_named_from_its_limit_on(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.views = FakeSettledViews([Count("w", date(2026, 9, 5), "FR", 1, 1), *scene.views.rows[:2]], published())
    scene.import_files()
    scene.document("run", "--period", "2026-09")
    assert scene.document("run", "--period", "2026-10")["posted_count"] == 1, "bob had views in September and has none"
    assert scene.document("nightly", "--actor", "cron")["overdue"] == [], "the limit is 14 days"
    monkeypatch.setenv("VIEWLEDGER_HELD_DAYS_MAX", "0")
    monkeypatch.setenv("VIEWLEDGER_STATE_DIR", str(scene.folder))
    code, out, _ = scene.run("nightly", "--actor", "cron")
    assert code == ExitCode.REFUSED
    (line,) = (line for line in out.splitlines() if line.startswith("held too long: "))
    assert line.startswith("held too long: payee bob, period 2026-10-01/2026-11-01: statement ")
    assert "`billing statements review --period 2026-10-01/2026-11-01 --payee bob`" in line
    figures = scene.folder / "metrics" / "billing-held.prom"
    assert "viewledger_billing_held_overdue_statements 1.0" in figures.read_text()
    assert len(scene.document("statements", "list", "--state", "held")["statements"]) == 1
    scene.document("statements", "void", "--period", "2026-10", "--payee", "bob", "--actor", "max")
    assert scene.document("nightly", "--actor", "cron")["overdue"] == []
    assert "viewledger_billing_held_overdue_statements 0.0" in figures.read_text()
    monkeypatch.setenv("VIEWLEDGER_HELD_DAYS_MAX", "two weeks")
    code, _, error = scene.run("nightly", "--actor", "cron")
    assert (code, "VIEWLEDGER_HELD_DAYS_MAX is 'two weeks'" in error) == (ExitCode.BAD_INPUT, True)


@pytest.mark.parametrize(
    ("words", "code", "answer"),
    [
        (["statements", "approve", "--period=2026-10", "--actor=max"], ExitCode.REFUSED, "no statement in period"),
        (["statements", "void", "--period", "2026-10", "--payee", "bob"], ExitCode.REFUSED, "no statement of bob"),
        (["run", "--period=2026-10", "--actor=run"], ExitCode.BAD_INPUT, "--actor is 'run', which is nobody's name"),
        (["ledger", "balances", "--as-of", "yesterday"], ExitCode.BAD_INPUT, "--as-of is not a day: 'yesterday'; give"),
        (["restate", "--period", "2026-10", "--cause", "x"], ExitCode.REFUSED, "was never billed"),
        (["payouts", "file", "--batch", "x", "--out", "x"], ExitCode.BAD_INPUT, "there is no payout batch 'x'"),
        (["holds", "decide", "--hold=x", "--as=voided", "--reason=r"], ExitCode.BAD_INPUT, "there is no hold x"),
        (
            ["holds", "place", "--payee", "ann", "--currency", "EUR", "--amount", "-1", "--reason", "r"],
            ExitCode.BAD_INPUT,
            "'-1' is not an amount in EUR",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_decided_gets_one_clear_sentence(
    scene: Scene, words: list[str], code: ExitCode, answer: str
) -> None:
    scene.import_files()
    got, out, error = scene.run(*words)
    assert (got, out) == (code, "")
    assert answer in error
    assert error.count("viewledger: ") == 1


def test_late_events_stay_in_the_pool_until_they_are_decided(scene: Scene) -> None:
    scene.import_files()
    scene.views = FakeSettledViews(scene.views.rows, published(), {"late_review": 2})
    month = ["--period", "2026-10"]
    assert [each["state"] for each in scene.document("late", "list", *month)["late_events"]] == ["open", "open"]
    reject = ["late", "decide", *month, "--as", "rejected", "--reason", "a wrong clock", "--actor", "max"]
    code, _, error = scene.run(*reject, "--event", "9:9")
    assert (code, "'9:9' is not a late event of period" in error) == (ExitCode.BAD_INPUT, True)
    assert scene.document("run", *month)["posted_count"] == 2, "it delays nobody"
    assert scene.document(*reject, "--event", "0:1")["decided_count"] == 1
    code, out, _ = scene.run(*reject)
    assert (code, out) == (
        ExitCode.OK,
        "1 late event rejected\nlate event 0:1 was rejected before by max: a wrong clock\n",
    )
    assert [each["state"] for each in scene.document("late", "list", *month)["late_events"]] == ["rejected", "rejected"]
    for words in ([], ["--event", "0:1"]):
        code, out, error = scene.run(*[*reject[:-4], "--reason", "again", "--actor", "zoe"], *words)
        assert (code, out) == (ExitCode.REFUSED, "")
        assert "\nviewledger: nothing was decided now: late event 0:" in error
        assert "was rejected before by max: a wrong clock" in error
    accept = ["late", "decide", *month, "--as", "accepted", "--reason", "real", "--actor", "max", "--event", "0:0"]
    code, _, error = scene.run(*accept)
    assert (code, "late event 0:0 was rejected before by max" in error) == (ExitCode.REFUSED, True)


def test_a_period_without_late_events_says_that_there_is_nothing_to_decide(scene: Scene) -> None:
    scene.import_files()
    decide = ["late", "decide", "--period", "2026-10", "--as", "rejected", "--reason", "r", "--actor", "max"]
    code, out, error = scene.run(*decide)
    assert (code, out) == (ExitCode.REFUSED, "")
    assert error.splitlines() == [
        "billing: opening the batch tables",
        "billing: version 3: reading the late events of 2026-10-01/2026-11-01",
        "viewledger: there is no late event in period 2026-10-01/2026-11-01; nothing was decided",
    ]


def test_a_run_reports_its_steps_on_stderr_and_none_with_json(scene: Scene) -> None:
    scene.import_files()
    code, out, error = scene.run("run", "--period", "2026-10")
    assert (code, out.splitlines()[0].startswith("period 2026-10-01/2026-11-01: 2 payees posted")) == (
        ExitCode.OK,
        True,
    )
    assert error.splitlines() == [
        "billing: opening the batch tables",
        "billing: version 3: comparing the archive with what is on record",
        "billing: comparing the published counts with the events",
        "billing: looking for views that no statement pays",
        "billing: rating the payees",
    ]
    scene.document("run", "--period", "2026-10")


def test_voiding_what_is_in_the_ledger_points_to_a_restatement(scene: Scene) -> None:
    scene.import_files()
    scene.document("run", "--period", "2026-10")
    code, _, error = scene.run("statements", "void", "--period", "2026-10", "--payee", "ann", "--actor", "max")
    assert code == ExitCode.REFUSED
    assert "no statement of ann in period 2026-10-01/2026-11-01 is in review or held; 1 is in the ledger" in error
    assert "`billing restate --period 2026-10-01/2026-11-01 --cause TEXT`" in error


def test_the_name_of_a_payee_leads_to_its_id(scene: Scene) -> None:
    scene.import_files()
    payees = scene.folder / "payees.csv"
    payees.write_text(payees.read_text().replace("bob,Bob,", "bob,The Long Walks,"))
    files = [f"--{name}={scene.folder / name}.csv" for name in ("payees", "videos")]
    assert scene.run("catalogue", "import", *files)[0] == ExitCode.OK
    put_in_force(os.environ["VIEWLEDGER_POSTGRES_URL"])
    code, _, error = scene.run("statements", "show", "--payee", "the long walks", "--period", "2026-10")
    assert code == ExitCode.BAD_INPUT
    assert "there is no payee 'the long walks'; the nearest that is known is 'bob'" in error


def test_a_conflict_waits_until_somebody_lets_the_first_event_stay(scene: Scene) -> None:
    scene.import_files()
    scene.views = FakeSettledViews(scene.views.rows, published(), {"conflict": 2})
    month = ["--period", "2026-10"]
    listed = scene.document("conflicts", "list", *month)["conflicts"]
    assert [(each["place"], each["first"], each["differs_in"], each["state"]) for each in listed] == [
        ("0:0", "0:0", "view_duration", "open"),
        ("0:1", "0:0", "view_duration", "open"),
    ]
    decide = ["conflicts", "decide", *month, "--reason", "one release sent heartbeats", "--actor", "max"]
    code, _, error = scene.run(*decide, "--event", "9:9")
    assert (code, "'9:9' is not a conflict of period 2026-10" in error) == (ExitCode.BAD_INPUT, True)
    assert "`billing conflicts list --period" in error
    decided = scene.document(*decide, "--event", "0:1")
    assert decided == {"decided_count": 1, "decision": "first_kept", "decided_before": []}
    assert scene.document("run", *month)["posted_count"] == 2, "it delays nobody"
    decided = scene.document(*decide)
    assert [each["place"] for each in decided["decided_before"]] == ["0:1"]
    assert [each["state"] for each in scene.document("conflicts", "list", *month)["conflicts"]] == [
        "first_kept",
        "first_kept",
    ]


@pytest.mark.parametrize(
    "words",
    [
        ["billing", "statements", "show", "--period", "2026-10"],
        ["billing", "statements", "approve", "--period", "2026-10", "--payee", "bob"],
        ["billing", "statements", "void", "--period", "2026-10"],
        ["billing", "statements", "review", "--period", "2026-10"],
        ["billing", "notices", "list"],
        ["billing", "holds", "list"],
        ["billing", "appeals", "list"],
        ["billing", "holds", "place", "--currency", "USD", "--amount", "1", "--reason", "r"],
        ["keys", "create", "--owner", "export", "--scope", "billable:read"],
        ["token", "--role", "creator"],
    ],
    ids=" ".join,
)
def test_a_payee_that_nobody_knows_is_refused_by_every_command(
    scene: Scene, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.import_files()
    monkeypatch.setenv("VIEWLEDGER_LOCAL_ISSUER_SEED", "ab" * 32)
    scene.capture.readouterr()
    assert main([*words, "--payee", "anne"]) == ExitCode.BAD_INPUT
    shown = scene.capture.readouterr()
    assert (shown.out, shown.err) == (
        "",
        "viewledger: --payee: there is no payee 'anne'; the nearest that is known is 'ann'\n",
    )


def test_a_contract_for_a_misspelt_payee_is_refused_and_nobody_earns_the_default_for_it(scene: Scene) -> None:
    scene.import_files()
    rates, accounts = scene.folder / "own.yaml", scene.folder / "accounts.csv"
    card = "{effective_from_on: 2026-01-01, rate_per_thousand_micros: {default: 9}}"
    own = f"  - name: own\n    payees: [anne]\n    cards: [{card}]\n"
    rates.write_text(RATES.read_text() + own)
    for words in (
        ["catalogue", "import", f"--rates={rates}"],
        ["backtest", "--period", "2026-10", f"--contract={rates}"],
    ):
        code, _, error = scene.run(*words)
        assert code == ExitCode.BAD_INPUT
        assert "contracts[1].payees[0]: 'anne' is not in the catalogue; the nearest that is there is 'ann'" in error
    accounts.write_text("payee_id,holder_name,iban\nanne,Ann,DE89370400440532013000\n")
    code, _, error = scene.run("bank-accounts", "import", f"--file={accounts}")
    assert code == ExitCode.BAD_INPUT
    assert ", line 2, column payee_id: there is no payee 'anne'; the nearest that is known is 'ann'" in error


def test_an_import_that_moves_money_waits_until_another_login_approves_it(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.import_files()
    (scene.folder / "videos.csv").write_text("video_id,payee_id\nv,bob\n")
    words = [
        "catalogue",
        "import",
        *(f"--{name}={scene.folder / name}.csv" for name in ("payees", "videos")),
        "--actor",
        "Mallory",
    ]
    code, _, error = scene.run(*words)
    assert code == ExitCode.BAD_INPUT
    assert "1 video of what is in force would be gone, and none may be; if it is meant, allow as many" in error
    words.append("--allow-removals=1")
    preview, made = (scene.document(*words, *more)["catalogue"] for more in (["--preview"], []))
    assert preview == made
    assert (made["state"], made["changes"]["owners"]) == ("proposed", {"new": 1, "changed": 0, "gone": 2})
    (waiting,) = scene.document("proposals", "list")["proposals"]
    assert (waiting["proposal"], waiting["actor"]) == (f"catalogue:{made['version']}", "Mallory")
    shown = scene.document("proposals", "show", "--proposal", waiting["proposal"])
    assert shown["differences"] == ["video v was of ann and is of bob", "video w of bob is gone"]
    approve = ["proposals", "approve", "--proposal", waiting["proposal"], "--actor"]
    code, _, error = scene.run(*approve, "Chris")
    assert (code, "another login must approve it" in error) == (ExitCode.REFUSED, True)
    monkeypatch.setenv("VIEWLEDGER_APPROVER_POSTGRES_URL", second_person(os.environ["VIEWLEDGER_POSTGRES_URL"]))
    code, _, error = scene.run(*approve, "mallory")
    assert (code, "someone else must approve it" in error) == (ExitCode.REFUSED, True)
    assert scene.run(*approve, "Chris")[0] == scene.run(*approve, "Chris")[0] == ExitCode.OK
    assert scene.document("proposals", "list") == {"proposals": []}
    assert scene.run("proposals", "show", "--proposal", waiting["proposal"])[0] == ExitCode.BAD_INPUT
    assert scene.run("proposals", "refuse", "--proposal", "catalogue:x", "--reason", "r")[0] == ExitCode.BAD_INPUT


def test_a_policy_is_proposed_by_a_file_and_listed(scene: Scene, tmp_path: Path) -> None:
    file, first_on = tmp_path / "policy.yaml", (datetime.now(UTC) + timedelta(days=9)).date()
    file.write_text("minimum_view_seconds: 40\nbillable_per_viewer_max: 3\nviewer_window_hours: 12\n")
    words = ["policies", "propose", f"--policy={file}", f"--first-on={first_on}", "--actor=max"]
    made = scene.document(*words)
    assert made == {"proposal": "policy:counting:2", "version": 2, "new": True, "first_on": str(first_on)}
    code, out, _ = scene.run(*words)
    assert (code, out.splitlines()[0]) == (ExitCode.OK, f"counting policy 2 is proposed already from {first_on} on")
    first, second = scene.document("policies", "list")["policies"]
    assert (first["version"], first["first_on"], first["state"]) == (1, "1970-01-01", "in_force")
    assert (second["state"], second["actor"], second["document"]["minimum_view_seconds"]) == ("proposed", "max", 40)
    assert "minimum_view_seconds 40, viewer_window_hours 12" in scene.run("policies", "list")[1]
    shown = scene.document("proposals", "show", "--proposal", "policy:counting:2")
    assert "billable_per_viewer_max was 4 and is 3" in shown["differences"]
    code, _, error = scene.run("policies", "propose", f"--policy={file}", "--first-on=2026-01-01", "--actor=max")
    assert (code, "(VL107)" in error) == (ExitCode.REFUSED, True)
    file.write_text("minimum_view_seconds: -1\nbillable_per_viewer_max: 3\nviewer_window_hours: 12\n")
    assert scene.run(*words)[0] == ExitCode.BAD_INPUT
