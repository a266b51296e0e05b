"""The pages of those who decide on traffic, on a real PostgreSQL by the login of the API: list, evidence, decision."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

import psycopg2
import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from attacks.role_matrix import role_logins
from batch_layer.judging.postgres_group_decisions import PostgresGroupDecisions
from billing.books.postgres_reviewed_groups import PostgresReviewedGroups
from billing.books.postgres_traffic_decisions import PostgresTrafficDecisions
from billing.postgres_session import connector
from billing.proof.checkpointing import make_checkpoint
from billing.proof.ed25519_keys import create_key
from billing.proof.postgres_journal import PostgresJournal
from billing.reviewed_groups import EVIDENCE_MAX, note_groups
from billing.terms.catalogue import Catalogue, Payee
from billing.terms.postgres_catalogue import PostgresCatalogueStore
from billing.terms.postgres_policies import PostgresPolicies
from faults.postgres_database import administer
from ingestion.contract.allowed_traffic import AllowedInForce, AllowedKind, AllowedTraffic
from ingestion.contract.day_traffic import TrafficOutcome
from ingestion.contract.traffic_evidence import GroupEvidence
from ingestion.contract.traffic_groups import ReviewedGroup, TrafficDecision, TrafficGroup, WaitingViews
from ingestion.contract.traffic_policy import SHIPPED, TRAFFIC, traffic_document
from ingestion.contract.version import PublishedVersion
from jobs.settings.declared.servers import API_POSTGRES_URL
from jobs.wiring.billing_settings import REVIEWER_ROLE
from jobs.wiring.portal_traffic import PortalGroupReviews
from jobs.wiring.postgres_logins import ROLES
from serving_layer.access.access import Caller, Scope
from serving_layer.portal.http_portal import portal_routes
from serving_layer.portal.ports import RefusedActionError
from tests.billing_fakes import card_of, catalogue_of, contracts_of, published
from tests.billing_postgres import own_database, put_in_force
from tests.integration.test_traffic_decisions import GROUP, NAME, NINE_VERSIONS
from tests.integration.test_traffic_policies import in_days
from tests.portal_fakes import FakePorts, fake_portal
from tests.portal_traffic_fakes import EVIDENCE
from tests.postgres_people import login_of, person
from tests.unit.test_portal_finance_pages import text
from tests.unit.test_portal_pages import sign_in

REVIEWED = ReviewedGroup(GROUP, (WaitingViews("v", "FR", 2_000),), 1, 60, ("e-1", "e-2"))
LATER = replace(GROUP, event_count=3, set_hash="2e" * 16)


@dataclass
class Views:
    """What a night reads of a version: its groups with one evidence for all."""

    groups: Sequence[ReviewedGroup]

    @property
    def version(self) -> PublishedVersion:
        return published(version=9)

    def group_evidence(self, groups: Sequence[TrafficGroup]) -> Mapping[TrafficGroup, GroupEvidence]:
        return dict.fromkeys(groups, EVIDENCE)


@dataclass
class Scene:
    """A database with a night's groups, the login of the API, and a browser of somebody who decides."""

    url: str
    web: str
    client: TestClient

    @property
    def reviews(self) -> PortalGroupReviews:
        return PortalGroupReviews(self.web)

    @property
    def batch(self) -> PostgresGroupDecisions:
        return PostgresGroupDecisions(self.url)

    def night(self, *groups: ReviewedGroup) -> None:
        """Note groups as `billing nightly` does, by the login of billing."""
        with person(self.url, "viewledger_billing") as billing:
            connect = connector(billing, "viewledger_billing")
            views, now = Views(groups), datetime.now(UTC)
            note_groups(views, groups, PostgresCatalogueStore(connect), PostgresReviewedGroups(connect), now)  # type: ignore[arg-type]

    def decisions(self) -> list[tuple[str, str, str, str]]:
        stored = PostgresTrafficDecisions(connector(self.web, REVIEWER_ROLE)).all()
        return [(each.decision.group.name, each.decision.outcome.value, each.actor, each.reason) for each in stored]

    def send(self, outcome: str, reason: str = "a film club", name: str = NAME) -> tuple[int, str]:
        token = re.search(r'name="csrf" value="([0-9a-f]{64})"', self.client.get("/portal/traffic").text)
        assert token is not None
        form = {"csrf": token[1], "name": name, "outcome": outcome, "reason": reason}
        answer = self.client.post("/portal/traffic/decide", data=form, follow_redirects=True)
        return answer.status_code, text(answer.text)


@pytest.fixture
def scene(postgres_url: str) -> Iterator[Scene]:
    with (
        own_database(postgres_url, with_versions=False) as url,
        person(url, *ROLES[API_POSTGRES_URL], name="web") as web,
    ):
        administer(url, NINE_VERSIONS)
        store = PostgresCatalogueStore(connector(url))
        catalogue = catalogue_of(v="ann")
        payees = (Payee("ann", "Ann Ápple", "ann"),)
        store.import_catalogue(Catalogue(payees, catalogue.videos, catalogue.owners), "test")
        store.import_contracts(contracts_of(card_of(3_000_000, FR=5_000_000)))
        put_in_force(url)
        portal = replace(fake_portal(FakePorts(), now=lambda: datetime.now(UTC)), reviews=PortalGroupReviews(web))
        with TestClient(FastAPI(routes=portal_routes(portal)), follow_redirects=False) as client:
            sign_in(client, "rita")
            yield Scene(url, web, client)


def test_a_group_is_listed_looked_at_and_decided_on_by_the_login_of_the_api(scene: Scene) -> None:
    scene.night(REVIEWED)
    scene.batch.note(9, "hash", [GROUP])
    listed = text(scene.client.get("/portal/traffic").text)
    assert re.search(r"2026-11-18 Ann Ápple ann many\. 2 2,000 10\.00\s+USD 13 days", listed), listed
    page = scene.client.get(f"/portal/traffic/group?name={quote(NAME)}").text
    assert page.count('<svg class="bars"') == 6
    assert "2,000 views become billable, about 10.00 USD" in text(page)
    assert "by version 9, counted" in text(page)
    status, shown = scene.send("confirmed")
    assert (status, "The group is confirmed as invalid." in shown) == (200, True)
    assert "No group waits." in shown
    assert f"{NAME} confirmed rita@example.org a film club" in shown
    assert scene.decisions() == [(NAME, "confirmed", "rita@example.org", "a film club")]
    assert scene.batch.all() == {TrafficDecision(GROUP, TrafficOutcome.CONFIRMED)}
    with closing(psycopg2.connect(scene.url)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT login FROM billing.traffic_decisions")
        assert cursor.fetchone() == (login_of(scene.web),)
    status, shown = scene.send("released", "looked again")
    assert (status, f"Group {NAME} was confirmed by rita@example.org: a film club." in shown) == (409, True)
    assert scene.client.get("/portal/traffic/group?name=2026-11-18/many/bob/2-1f1f1f1f1f1f").status_code == 404


def test_a_group_that_changed_meanwhile_is_refused_and_nothing_is_stored(scene: Scene) -> None:
    scene.night(REVIEWED)
    scene.batch.note(8, "first", [GROUP])
    scene.batch.note(9, "second", [LATER])
    listed = text(scene.client.get("/portal/traffic").text)
    assert re.search(r"many\. 3 – – 13 days", listed), "the night has not seen it; the run has"
    for outcome in ("released", "confirmed"):
        status, shown = scene.send(outcome)
        assert (status, f"Group {NAME} has other events by now, as {LATER.name}; look at it" in shown) == (409, True)
    assert scene.decisions() == []


def test_a_change_between_the_page_and_the_decision_is_refused_too(scene: Scene) -> None:
    scene.night(REVIEWED)
    scene.batch.note(8, "first", [GROUP])
    assert scene.reviews.group(NAME) is not None
    scene.batch.note(9, "second", [LATER])
    with pytest.raises(RefusedActionError, match=f"Group {NAME} has other events by now, as {LATER.name}"):
        scene.reviews.decide(NAME, "released", "rita", "seen")
    assert scene.decisions() == []


def test_a_group_that_only_the_night_knows_can_be_decided_on_until_a_run_has_others(scene: Scene) -> None:
    scene.night(REVIEWED)
    (listed,) = scene.reviews.groups()
    assert (listed.name, listed.released_at, listed.estimate_micros) == (NAME, None, 10_000_000)
    scene.batch.note(9, "hash", [])
    assert len(scene.reviews.groups()) == 1, "no run has ever seen it, so none has seen it go"
    assert scene.send("released")[0] == 200
    assert scene.reviews.groups() == []


@pytest.mark.parametrize(
    "actor", ["ANN", "https://id.example.org/realm ann", "urn:viewledger:local Ann", f"key:{'a' * 16}"]
)
def test_nobody_decides_on_a_payee_of_their_own_however_they_sign_in(scene: Scene, actor: str) -> None:
    scene.night(REVIEWED)
    administer(
        scene.url,
        "INSERT INTO access.api_keys (key_id, owner, secret_sha256, scopes, payee_id, expires_at) VALUES "
        f"('{'a' * 16}', 'max', '{'0' * 64}', '{{{Scope.TRAFFIC}}}', NULL, now() + interval '1 day'), "
        f"('{'b' * 16}', 'max', '{'0' * 64}', '{{read}}', 'ann', now() + interval '1 day')",
    )
    with pytest.raises(RefusedActionError, match=f"The traffic of payee ann is not for {actor} to decide on"):
        scene.reviews.decide(NAME, "released", actor, "my fans")
    assert scene.decisions() == []
    scene.reviews.decide(NAME, "released", "https://id.example.org/realm rita", "seen")
    assert len(scene.decisions()) == 1


def test_a_subject_of_the_longest_form_can_decide(scene: Scene) -> None:
    scene.night(REVIEWED)
    actor = f"https://id.example.org/{'r' * 200} {'s' * 255}"
    scene.reviews.decide(NAME, "confirmed", actor, "seen")
    assert scene.decisions()[0][2] == actor


def test_a_key_bound_to_a_payee_opens_no_page_of_a_decision(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests import portal_fakes

    bound = Caller("key:0", portal_fakes.CALLERS["rita"].role, frozenset({Scope.TRAFFIC}), "ann")
    monkeypatch.setitem(portal_fakes.CALLERS, "rita", bound)
    assert scene.client.get("/portal/traffic").status_code == 404


def test_the_evidence_is_counted_for_the_groups_with_the_most_views(scene: Scene) -> None:
    groups = [
        replace(
            REVIEWED,
            group=replace(GROUP, payee_id=f"p{number:03d}"),
            waiting=(WaitingViews("v", None, 1 + number),),
        )
        for number in range(EVIDENCE_MAX + 3)
    ]
    scene.night(*groups)
    found = PostgresReviewedGroups(connector(scene.web, REVIEWER_ROLE))
    assert len(found.to_decide()) == EVIDENCE_MAX + 3
    assert [found.evidence(each.group) for each in groups[:4]] == [None, None, None, EVIDENCE]
    scene.night()
    assert found.to_decide() == []


def test_the_login_of_the_api_shows_whom_the_policy_of_a_day_allows(scene: Scene, tmp_path: Path) -> None:
    first_on, next_on, until = (in_days(days) for days in (3, 10, 60))
    school = AllowedTraffic(AllowedKind.NETWORK, "192.0.2.0/24", until, ("lockstep",), "a school")
    store, connect = PostgresPolicies(connector(scene.url)), connector(scene.url)
    with_school, without = traffic_document(replace(SHIPPED, allowed=(school,))), traffic_document(SHIPPED)
    store.propose(TRAFFIC, with_school, first_on, actor="pia")
    store.propose(TRAFFIC, without, next_on, actor="pia")
    make_checkpoint(PostgresJournal(connect), create_key(tmp_path / "key"), day=in_days(0), today=in_days(0))
    assert scene.reviews.allowed() == [], "nobody has approved them"
    put_in_force(scene.url)
    row = AllowedInForce(1, school, first_on, next_on, "pia", "second person")
    assert scene.reviews.allowed() == [row]
    assert "network 192.0.2.0/24 lockstep" in text(scene.client.get("/portal/traffic").text)
    days = [in_days(days) for days in (2, 3, 9, 10)]
    scene.batch.note(9, "hash", [replace(GROUP, day=day) for day in days])
    shown = [found.allowed for day in days if (found := scene.reviews.group(replace(GROUP, day=day).name))]
    assert shown == [(), (row,), (row,), ()]


def test_only_those_who_decide_audit_or_bill_read_the_evidence(scene: Scene) -> None:
    scene.night(REVIEWED)
    readers = {"viewledger_reviewer", "viewledger_auditor", "viewledger_billing", "viewledger_owner"}
    with role_logins(scene.url) as logins:
        assert readers - {"viewledger_owner"} <= logins.keys()
        for role, url in logins.items():
            with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
                if role in readers:
                    cursor.execute("SELECT count(*) FROM billing.group_evidence")
                    assert cursor.fetchone() == (1,)
                else:
                    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
                        cursor.execute("SELECT evidence FROM billing.group_evidence")
