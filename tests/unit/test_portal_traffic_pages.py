"""The pages of those who decide on traffic, over HTTP on fakes: who sees them, what they show, what they refuse."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest
from starlette.testclient import TestClient

from ingestion.contract.traffic_groups import time_left
from ingestion.contract.unavailable import Part
from serving_layer.portal.http_traffic_pages import presence
from tests.portal_fakes import FakePorts
from tests.portal_traffic_fakes import EVENT, NEW, ODD, allowed_row
from tests.unit.test_portal_finance_pages import text
from tests.unit.test_portal_pages import sign_in, signed_in

GROUP = f"/portal/traffic/group?name={quote(ODD)}"


@pytest.fixture
def ports() -> FakePorts:
    return FakePorts()


@pytest.fixture
def client(ports: FakePorts) -> Iterator[TestClient]:
    with signed_in(ports, "rita") as client:
        yield client


def decide(
    client: TestClient, outcome: str = "released", reason: str = "a film club", name: str = ODD
) -> tuple[int, str]:
    token = re.search(r'name="csrf" value="([0-9a-f]{64})"', client.get("/portal/traffic").text)
    assert token is not None
    form = {"csrf": token[1], "name": name, "outcome": outcome, "reason": reason}
    answer = client.post("/portal/traffic/decide", data=form)
    return answer.status_code, answer.headers.get("location", text(answer.text))


def test_who_decides_begins_with_the_groups_that_are_released_first(client: TestClient) -> None:
    assert client.get("/portal").headers["location"] == "/portal/traffic"
    page = client.get("/portal/traffic").text
    shown = text(page)
    row = (
        r"2026-11-18 Ann &lt;b&gt;Ápple&lt;/b&gt; ann Many more than elsewhere left as .*?\. 40 38 12\.34\s+USD 3 days"
    )
    assert re.search(row, shown), shown
    assert "2026-11-24 nobody&#39;s videos of a later release. 7 – – 14 days" in shown
    assert f'href="/portal/traffic/group?name={quote(ODD, safe="")}"' in page
    assert "Nothing is decided yet." in shown


def test_a_group_is_shown_with_its_evidence_and_what_deciding_would_do(client: TestClient) -> None:
    page = client.get(GROUP).text
    shown = text(page)
    assert "38 views become billable, about 12.34 USD for all owners of the videos." in shown
    assert "40 events leave both counters" in shown
    assert page.count('<svg class="bars"') == 6
    assert "This group (40) Other views of its videos (160) All other views of the day (1,000)" in shown
    assert "data centre 30 75.0 % 10 6.2 % 50 5.0 %" in shown
    assert re.search(rf"{EVENT} -walk_01 DE phone 0:31 data centre", shown)
    assert "style=" not in page, "the policy of the pages lets no inline style through"
    assert "Some events of the group are left out" not in shown


def test_a_group_is_shown_with_whom_its_policy_allows(client: TestClient) -> None:
    shown = text(client.get(GROUP).text)
    others = "the &lt;school&gt; of Berlin pia@example.org max@example.org 3"
    exempt = "network 192.0.2.0/24 no: exempt from the reason of this group leave once paid"
    assert f"{exempt} 2026-11-16 2026-12-24 {others}" in shown
    assert f"payee ann yes: all are of this payee shared session 2026-11-16 2026-12-24 {others}" in shown
    unknown = "agent Kiosk 1.0 unknown: exempt from other reasons, and the evidence has no agent lockstep"
    assert f"{unknown} 2026-11-16 2026-11-20 {others}" in shown
    assert "The policy that judged 2026-11-24 allows no sender." in text(
        client.get("/portal/traffic/group", params={"name": NEW}).text
    )


def test_a_payee_who_is_allowed_is_in_no_group_of_another_payee(ports: FakePorts) -> None:
    (group,) = (each for each in ports.reviews.groups() if each.name == NEW)
    assert presence(allowed_row("payee", "ann", "lockstep"), group) == "no: of another payee"


def test_the_list_shows_whom_the_policies_of_today_and_later_allow(client: TestClient, ports: FakePorts) -> None:
    shown = text(client.get("/portal/traffic").text)
    assert "payee ann shared session 2026-11-16 2026-12-24 the &lt;school&gt; of Berlin" in shown
    assert "192.0.2.0/24" in shown
    assert "Kiosk" not in shown, "it has ended"


@pytest.mark.parametrize(
    ("left", "shown"),
    [
        (timedelta(days=2, hours=5), "2 days"),
        (timedelta(days=1, hours=23), "1 day"),
        (timedelta(hours=23), "23 hours"),
        (timedelta(minutes=61), "1 hour"),
        (timedelta(hours=-3), "0 hours"),
    ],
)
def test_the_time_that_is_left_is_in_whole_days_and_on_the_last_one_in_hours(left: timedelta, shown: str) -> None:
    now = datetime(2026, 11, 29, tzinfo=UTC)
    assert time_left(now + left, now) == shown


def test_a_group_that_no_night_has_counted_can_be_looked_at(client: TestClient) -> None:
    shown = text(client.get("/portal/traffic/group", params={"name": NEW}).text)
    assert "Not counted yet. billing nightly counts it" in shown
    assert "it appears here when that has run" in shown
    assert "Its views become billable." in shown


@pytest.mark.parametrize("outcome", ["released", "confirmed"])
def test_a_decision_is_stored_with_name_and_reason_and_listed(
    client: TestClient, ports: FakePorts, outcome: str
) -> None:
    assert decide(client, outcome) == (303, f"/portal/traffic?done={outcome}")
    (taken,) = ports.reviews.taken
    assert (taken.name, taken.outcome, taken.actor, taken.reason) == (ODD, outcome, "rita@example.org", "a film club")
    shown = text(client.get(f"/portal/traffic?done={outcome}").text)
    assert "The next batch run applies it." in shown
    assert f"{ODD} {outcome} rita@example.org a film club" in shown
    assert decide(client)[0] == 404


def test_a_decision_without_reason_or_outcome_is_refused_and_nothing_is_stored(
    client: TestClient, ports: FakePorts
) -> None:
    status, shown = decide(client, reason=" ")
    assert (status, "A reason of 1 to 500 characters is needed" in shown) == (422, True)
    status, shown = decide(client, outcome="deleted")
    assert (status, "Choose what happens to the group." in shown) == (422, True)
    assert decide(client, reason="x" * 501)[0] == 422
    status, shown = decide(client, reason="my own")
    assert (status, "is not for rita@example.org to decide on" in shown) == (409, True)
    assert ports.reviews.taken == []


def test_a_group_that_changed_meanwhile_is_refused_with_its_sentence(client: TestClient, ports: FakePorts) -> None:
    ports.reviews.changed_to = "2026-11-18/leave_once_paid/ann/41-aaaaaaaaaaaa"
    for status, shown in (decide(client), (client.get(GROUP).status_code, text(client.get(GROUP).text))):
        assert (status, f"has other events by now, as {ports.reviews.changed_to}" in shown) == (409, True)
    assert ports.reviews.taken == []


@pytest.mark.parametrize("name", ["", "nothing", "%00", "x" * 401])
def test_an_unknown_name_looks_like_a_missing_page(client: TestClient, name: str) -> None:
    assert client.get(f"/portal/traffic/group?name={name}").status_code == 404


@pytest.mark.parametrize("who", ["ann", "fay", "aud", "olga"])
def test_nobody_else_sees_evidence_or_decides(client: TestClient, ports: FakePorts, who: str) -> None:
    sign_in(client, who)
    for path in ("/portal/traffic", GROUP):
        answer = client.get(path)
        assert (answer.status_code, "Groups under review</a>" in answer.text) == (404, False)
    assert client.post("/portal/traffic/decide", data={"name": ODD}).status_code == 404
    assert ports.reviews.taken == []


def test_without_postgres_the_pages_say_so(client: TestClient, ports: FakePorts) -> None:
    ports.away.add(Part.POSTGRES)
    assert "PostgreSQL does not answer" in client.get("/portal/traffic").text
    assert "No group waits" not in client.get("/portal/traffic").text
    assert client.get(GROUP).status_code == 503


def test_finance_sees_names_and_no_link_to_evidence(client: TestClient) -> None:
    sign_in(client, "fay")
    page = client.get("/portal/finance/waiting/traffic-groups").text
    assert "/portal/traffic/group" not in page
    assert "which only those who may decide see" in text(page)
