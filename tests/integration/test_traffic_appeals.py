"""Appeals about traffic on a real PostgreSQL: pages by the login of the API, commands, and the rights of each role."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from urllib.parse import quote

import psycopg2
import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from attacks.role_matrix import role_logins
from billing.books.book_ports import WaitingItem
from billing.books.postgres_traffic_appeals import PostgresTrafficAppeals
from billing.books.postgres_traffic_decisions import PostgresTrafficDecisions
from billing.books.postgres_waiting import PostgresWaiting
from billing.errors import RoleRefusedError, StateError
from billing.postgres_session import connector
from billing.waiting import TRAFFIC_GROUP
from faults.postgres_database import administer
from ingestion.contract.day_traffic import TrafficOutcome
from ingestion.contract.requests import KeyReusedError, OpenAppealError, RequestKey
from ingestion.contract.traffic_groups import TrafficDecision, TrafficGroup
from ingestion.contract.traffic_reasons import DayReason, InvalidClass
from jobs.exit_codes import ExitCode
from jobs.settings.declared.servers import API_POSTGRES_URL
from jobs.wiring.portal_payee_traffic import PayeeTrafficBooks
from jobs.wiring.portal_traffic import PortalGroupReviews
from jobs.wiring.postgres_logins import ROLES
from serving_layer.portal.http_portal import portal_routes
from serving_layer.portal.ports import RefusedActionError
from serving_layer.portal.traffic_records import ReviewedViews
from tests.billing_postgres import own_database
from tests.command_runs import RunsCommands
from tests.portal_fakes import FakePorts, fake_portal
from tests.postgres_people import person
from tests.unit.test_portal_finance_pages import text
from tests.unit.test_portal_pages import send, sign_in

DAY = date(2026, 11, 18)
GROUP = TrafficGroup(DAY, DayReason.LEAVE_ONCE_PAID.code, "ann", 40, "1f" * 16)
FORM = "/portal/invalid/appeal?day=2026-11-18&class=unnatural"
FIELDS = {"day": "2026-11-18", "class": "unnatural", "text": "a school class"}


@dataclass
class Scene(RunsCommands):
    """A database in which a group of ann's waits, the login of the API, a login that decides, and a browser."""

    group = "traffic"

    url: str
    web: str
    reviewer: str
    client: TestClient
    capture: pytest.CaptureFixture[str]

    @property
    def payees(self) -> PayeeTrafficBooks:
        return PayeeTrafficBooks(self.web)

    @property
    def appeals(self) -> PostgresTrafficAppeals:
        return PostgresTrafficAppeals(connector(self.reviewer, "viewledger_reviewer"))

    def file(
        self, key: str = "k", words: str = "a school class", its_class: InvalidClass = InvalidClass.UNNATURAL
    ) -> None:
        self.payees.appeal(
            "ann", DAY, its_class, words, RequestKey("ann", key, words.encode().hex().ljust(64, "0")[:64])
        )


@pytest.fixture
def scene(postgres_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Scene]:
    with (
        own_database(postgres_url) as url,
        person(url, *ROLES[API_POSTGRES_URL], name="web") as web,
        person(url, "viewledger_reviewer", name="max") as reviewer,
    ):
        at = datetime.combine(DAY, time(), UTC)
        items = [
            WaitingItem(GROUP.name, at, event_count=40, payee_id="ann", remark=GROUP.reason),
            WaitingItem("2026-11-18/lockstep/bob/7-000000000000", at, event_count=7, payee_id="bob", remark="lockstep"),
        ]
        waiting = PostgresWaiting(connector(url, "viewledger_billing"))
        waiting.replace(TRAFFIC_GROUP, items, 2, batch_version=9, counted_at=datetime.now(UTC))
        monkeypatch.setenv("VIEWLEDGER_POSTGRES_URL", url)
        monkeypatch.setenv("VIEWLEDGER_REVIEWER_POSTGRES_URL", reviewer)
        ports = FakePorts()
        ports.is_clean = True
        portal = replace(
            fake_portal(ports, now=lambda: datetime.now(UTC)),
            traffic=PayeeTrafficBooks(web),
            reviews=PortalGroupReviews(web),
        )
        with TestClient(FastAPI(routes=portal_routes(portal)), follow_redirects=False) as client:
            yield Scene(url, web, reviewer, client, capsys)


def note(scene: Scene) -> None:
    """Note the group as a run does."""
    columns = "version, event_day, rule, payee_id, event_count, set_hash, is_there"
    values = f"9, '{GROUP.day}', '{GROUP.reason}', 'ann', 40, '{GROUP.set_hash}', true"
    administer(scene.url, f"INSERT INTO billing.traffic_sightings ({columns}) VALUES ({values})")


def test_a_payee_sees_their_own_views_under_review_by_class_and_appeals(scene: Scene) -> None:
    assert scene.payees.under_review("ann") == [ReviewedViews(DAY, InvalidClass.UNNATURAL, 40)]
    sign_in(scene.client, "ann")
    page = scene.client.get("/portal/invalid").text
    assert "2026-11-18 unnatural 0 40" in text(page)
    assert GROUP.reason not in page
    assert "coordinated 0 7" not in text(page), "that is bob's"
    assert send(scene.client, "/portal/invalid/appeals", FORM, **FIELDS)[0] == 303
    assert "2026-11-18 unnatural received a school class" in text(scene.client.get("/portal/invalid").text)
    sign_in(scene.client, "bob")
    assert "school" not in scene.client.get("/portal/invalid").text
    (listed,) = scene.document("appeals", "list", "--open")["appeals"]
    assert (listed["payee_id"], listed["class"], listed["state"], listed["actor"]) == (
        "ann", "unnatural", "received", "ann@example.org",
    )  # fmt: skip


def test_a_decision_on_the_group_answers_the_appeal_without_naming_the_rule(scene: Scene) -> None:
    note(scene)
    scene.file()
    scene.file("other-class", its_class=InvalidClass.ROBOT)
    sign_in(scene.client, "rita")
    shown = text(scene.client.get(f"/portal/traffic/group?name={quote(GROUP.name)}").text)
    assert "The payee objects received a school class" in shown
    form = {"name": GROUP.name, "outcome": "released", "reason": "below 60 % of early leavers, but a class"}
    assert send(scene.client, "/portal/traffic/decide", "/portal/traffic", **form)[0] == 303
    answers = {each.invalid_class: (each.state, each.answer) for each in scene.payees.appeals("ann")}
    sentence = "A person looked at them: 40 views of 2026-11-18 count and will be paid where they are billable."
    assert answers == {InvalidClass.UNNATURAL: ("released", sentence), InvalidClass.ROBOT: ("received", "")}
    assert scene.payees.under_review("ann") == []


def test_a_decision_by_the_command_line_answers_it_too_and_leaves_an_answered_one_alone(scene: Scene) -> None:
    scene.file()
    (filed,) = scene.appeals.appeals("ann")
    assert (
        scene.run("appeals", "answer", "--appeal", filed.appeal_id, "--answer", "no", "--actor", "max")[0]
        == ExitCode.OK
    )
    scene.file("second", "and again")
    decision = TrafficDecision(GROUP, TrafficOutcome.CONFIRMED)
    PostgresTrafficDecisions(connector(scene.reviewer, "viewledger_reviewer")).store(
        decision, actor="max", reason="seen"
    )
    assert [(each.objection, each.state) for each in scene.appeals.appeals()] == [
        ("and again", "confirmed"), ("a school class", "answered"),
    ]  # fmt: skip


def test_the_commands_list_and_answer_once(scene: Scene) -> None:
    assert scene.run("appeals", "list")[1] == "there are no appeals\n"
    scene.file()
    (filed,) = scene.appeals.appeals()
    words = ("appeals", "answer", "--appeal", filed.appeal_id, "--actor", "max", "--answer")
    assert scene.run(*words, "We looked.")[1] == f"appeal {filed.appeal_id} answered\n"
    assert scene.run(*words, "We looked.")[0] == ExitCode.OK, "the same answer again changes nothing"
    code, _, err = scene.run(*words, "We looked again.")
    assert (code, "was answered before by max; an answer is final" in err) == (ExitCode.REFUSED, True)
    code, _, err = scene.run("appeals", "answer", "--appeal", "0" * 16, "--actor", "max", "--answer", "x")
    assert (code, "there is no appeal" in err) == (ExitCode.BAD_INPUT, True)
    assert scene.document("appeals", "list", "--open") == {"appeals": []}
    table = scene.run("appeals", "list", "--payee", "ann")[1]
    assert re.search(rf"{filed.appeal_id} +ann +2026-11-18 +unnatural +answered +a school class +We looked\.", table)
    assert scene.run("appeals", "list", "--payee", "bob")[1] == "there are no appeals\n"


def test_nobody_answers_an_appeal_of_their_own(scene: Scene) -> None:
    scene.file()
    (filed,) = scene.appeals.appeals()
    code, _, err = scene.run("appeals", "answer", "--appeal", filed.appeal_id, "--answer", "yes", "--actor", "Ann")
    assert (code, "the traffic of payee ann is not for Ann to decide on" in err) == (ExitCode.REFUSED, True)
    with pytest.raises(RefusedActionError, match="The traffic of payee ann is not for"):
        PortalGroupReviews(scene.web).answer(filed.appeal_id, "yes", "urn:viewledger:local ann")
    assert scene.appeals.appeals()[0].answer is None


def test_a_form_that_comes_eight_times_at_once_is_one_appeal_and_eight_forms_are_one_open_appeal(scene: Scene) -> None:
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: scene.file("same"), range(8)))
    assert len(scene.appeals.appeals()) == 1

    def other(number: int) -> str:
        try:
            scene.file(f"other-{number}", its_class=InvalidClass.ORIGIN)
        except RefusedActionError as error:
            return str(error)
        return ""

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(other, range(8)))
    assert sorted(map(bool, answers)) == [False, *[True] * 7]
    assert all("The class origin of 2026-11-18 has an open appeal already" in each for each in answers if each)
    assert len(scene.appeals.appeals()) == 2
    writes = PostgresTrafficAppeals(connector(scene.web, "viewledger_billing"))
    with pytest.raises(KeyReusedError):
        writes.file("ann", DAY, InvalidClass.ROBOT, "other words", RequestKey("ann", "same", "0" * 64))
    with pytest.raises(OpenAppealError):
        writes.file("ann", DAY, InvalidClass.ORIGIN, "x", RequestKey("ann", "new", "0" * 64))


def test_only_billing_files_only_who_decides_answers_and_nobody_changes_a_row(scene: Scene) -> None:
    scene.file()
    (filed,) = scene.appeals.appeals()
    with role_logins(scene.url) as logins:
        for role, url in logins.items():
            appeals = PostgresTrafficAppeals(connector(url))
            if role != "viewledger_billing":
                with pytest.raises(RoleRefusedError):
                    appeals.file("bob", DAY, InvalidClass.ROBOT, "x", RequestKey(role, "k", "0" * 64))
            if role != "viewledger_reviewer":
                with pytest.raises(RoleRefusedError):
                    appeals.answer(filed.appeal_id, "x", "max")
    scene.appeals.answer(filed.appeal_id, "We looked.", "max")
    with pytest.raises(StateError):
        scene.appeals.answer(filed.appeal_id, "We looked.", "eve")
    for table in ("traffic_appeals", "traffic_appeal_answers"):
        for statement in (
            f"DELETE FROM billing.{table}",
            f"UPDATE billing.{table} SET actor = 'x'",
            f"TRUNCATE billing.{table} CASCADE",
        ):
            for url in (scene.url, scene.reviewer, scene.web):
                with pytest.raises(psycopg2.Error):
                    administer(url, statement)
    with closing(psycopg2.connect(scene.url)) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT kind, count(*) FROM billing.journal WHERE kind LIKE 'traffic_appeal%' GROUP BY 1 ORDER BY 1"
        )
        assert cursor.fetchall() == [("traffic_appeal", 1), ("traffic_appeal_answer", 1)]
