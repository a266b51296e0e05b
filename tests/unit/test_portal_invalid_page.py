"""What a payee is shown of their invalid traffic, and their appeals, on fakes; and what an average view is."""

import random
import re
from collections.abc import Iterator
from datetime import date, timedelta
from urllib.parse import quote

import pytest
from starlette.testclient import TestClient

from ingestion.contract.traffic_reasons import DayReason, InvalidClass
from ingestion.contract.unavailable import Part
from serving_layer.history.invalid import InvalidSum
from serving_layer.portal.average_view import AverageView, average_on, average_views
from serving_layer.portal.earnings_records import EstimateRow
from serving_layer.portal.http_invalid_page import shown_days
from serving_layer.portal.traffic_records import ReviewedViews
from tests.portal_fakes import NOW, FakePorts
from tests.portal_traffic_fakes import ODD
from tests.unit.test_portal_finance_pages import text
from tests.unit.test_portal_pages import send, sign_in, signed_in

FORM = "/portal/invalid/appeal?day=2026-11-18&class=unnatural"
UNNATURAL = {"day": "2026-11-18", "class": "unnatural"}


@pytest.fixture
def ports() -> FakePorts:
    ports = FakePorts()
    ports.add_history()
    return ports


@pytest.fixture
def client(ports: FakePorts) -> Iterator[TestClient]:
    with signed_in(ports, "ann") as client:
        yield client


def test_each_settled_day_and_class_has_what_is_not_counted_what_waits_and_what_it_is_worth(client: TestClient) -> None:
    shown = text(client.get("/portal/invalid").text)
    # the estimate of November: 12.345678 USD by 4,200 billable views
    assert re.search(r"2026-11-23 robot 34 0 0\.099941\s+USD – Appeal", shown), shown
    assert re.search(r"2026-11-22 robot 1,200 0 3\.527336\s+USD 8f14e45f-", shown)
    assert re.search(r"2026-11-18 unnatural 0 40 0\.117577\s+USD – Appeal", shown)
    assert "No appeal. If you disagree" in shown
    assert not [each for each in DayReason if each.code in shown or each.sentence in shown]


def test_an_appeal_is_seen_by_its_payee_and_by_those_who_decide_and_its_answer_comes_back(
    client: TestClient, ports: FakePorts
) -> None:
    shown = text(client.get(FORM).text)
    assert "0 of your events are not counted, and 40 are under review: about 0.117577 USD as average views." in shown
    fields = {**UNNATURAL, "text": "a <b>school</b> class"}
    assert send(client, "/portal/invalid/appeals", FORM, **fields)[:2] == (303, "/portal/invalid?done=appealed#appeals")
    page = client.get("/portal/invalid?done=appealed").text
    assert "Your appeal is recorded." in text(page)
    assert "2026-11-18 unnatural received a &lt;b&gt;school&lt;/b&gt; class" in text(page)
    assert FORM.replace("&", "&amp;") not in page, "one appeal at a time"
    status, _, answer = send(client, "/portal/invalid/appeals", FORM, **(fields | {"text": "again"}))
    assert (status, "has an open appeal already" in answer, "again</textarea>" in answer) == (409, True, True)
    sign_in(client, "rita")
    (row,) = ports.reviews.filed
    assert "a &lt;b&gt;school&lt;/b&gt; class" in text(client.get(f"/portal/traffic/group?name={quote(ODD)}").text)
    assert "ann, 2026-11-18, unnatural" in text(client.get("/portal/traffic").text)
    form = {"appeal_id": row.appeal_id, "answer": "We looked: an audience does not end like that."}
    assert send(client, "/portal/traffic/answer", "/portal/traffic", **(form | {"answer": " "}))[0] == 422
    assert send(client, "/portal/traffic/answer", "/portal/traffic", **(form | {"appeal_id": "0" * 16}))[0] == 409
    assert send(client, "/portal/traffic/answer", "/portal/traffic", **form)[:2] == (
        303,
        "/portal/traffic?done=answered",
    )
    assert "No appeal is open." in text(client.get("/portal/traffic").text)
    sign_in(client, "ann")
    page = client.get("/portal/invalid").text
    assert "answered a &lt;b&gt;school&lt;/b&gt; class We looked: an audience does not end like that." in text(page)
    assert FORM.replace("&", "&amp;") in page, "what is answered can be objected to again"
    sign_in(client, "bob")
    assert "school" not in client.get("/portal/invalid").text


def test_a_form_that_is_sent_twice_is_one_appeal(client: TestClient, ports: FakePorts) -> None:
    page = client.get(FORM).text
    fields = dict(re.findall(r'name="(csrf|request_key|day|class)" value="([^"]+)"', page))
    for _ in range(2):
        assert client.post("/portal/invalid/appeals", data=fields | {"text": "once"}).status_code == 303
    assert client.post("/portal/invalid/appeals", data=fields | {"text": "other"}).status_code == 409
    assert [each.text for each in ports.reviews.filed] == ["once"]


@pytest.mark.parametrize(
    "query",
    ["day=2026-11-18&class=robot", "day=2026-11-17&class=unnatural", "day=yesterday&class=robot", "class=robot",
     "day=2026-11-18&class=ugly", "day=9999-12-31&class=robot", "day=2026-11-18",
     "day=20261118&class=unnatural", "day=2026-W47-3&class=unnatural"],
)  # fmt: skip
def test_nobody_objects_to_what_is_not_there(client: TestClient, ports: FakePorts, query: str) -> None:
    if "2026-11-18&class=robot" in query or "2026-11-17" in query:
        ports.is_clean = True
    assert client.get(f"/portal/invalid/appeal?{query}").status_code == 404
    day, _, class_ = query.removeprefix("day=").partition("&class=")
    assert send(client, "/portal/invalid/appeals", FORM, day=day, **{"class": class_}, text="x")[0] == 404
    assert ports.reviews.filed == []


def test_an_appeal_without_text_is_refused_with_what_is_allowed(client: TestClient, ports: FakePorts) -> None:
    for words in (" ", "x" * 2_001):
        status, _, answer = send(client, "/portal/invalid/appeals", FORM, **UNNATURAL, text=words)
        assert (status, "An appeal has 1 to 2000 characters" in answer) == (422, True)
    assert ports.reviews.filed == []


@pytest.mark.parametrize("who", ["fay", "aud", "olga", "rita"])
def test_nobody_but_a_payee_appeals(client: TestClient, ports: FakePorts, who: str) -> None:
    sign_in(client, who)
    assert client.get(FORM).status_code == 404
    assert client.post("/portal/invalid/appeals", data={**UNNATURAL, "text": "x"}).status_code == 404
    assert ports.reviews.filed == []


def test_without_postgres_an_appeal_is_not_called_recorded(client: TestClient, ports: FakePorts) -> None:
    page = client.get(FORM).text
    ports.away.add(Part.POSTGRES)
    fields = dict(re.findall(r'name="(csrf|request_key|day|class)" value="([^"]+)"', page))
    assert client.post("/portal/invalid/appeals", data=fields | {"text": "x"}).status_code == 503
    assert client.get(FORM).status_code == 503


def test_the_average_view_of_a_day_is_that_of_its_period() -> None:
    november = EstimateRow(date(2026, 11, 1), date(2026, 12, 1), "USD", 1_000_000, 3, NOW)
    october = EstimateRow(date(2026, 10, 1), date(2026, 11, 1), "EUR", 5, 0, NOW)
    averages = average_views((), [november, october])
    assert averages == [AverageView(date(2026, 11, 1), date(2026, 12, 1), "USD", 1_000_000, 3)]
    assert averages[0].worth_micros(2) == 666_666
    assert average_on(date(2026, 11, 30), averages) == averages[0]
    assert average_on(date(2026, 12, 1), averages) is None
    assert average_on(date(2026, 10, 31), averages) is None


@pytest.mark.parametrize("seed", range(30))
def test_no_event_is_lost_or_shown_twice_by_day_and_class(seed: int) -> None:
    rng = random.Random(seed)
    keys = [(date(2026, 11, 1) + timedelta(days=day), each) for day in range(9) for each in InvalidClass]
    sums = [InvalidSum(*key, rng.randint(1, 99), ()) for key in rng.sample(keys, rng.randint(0, 30))]
    reviewed = [ReviewedViews(*key, rng.randint(1, 99)) for key in rng.sample(keys, rng.randint(0, 30))]
    rows = shown_days(sums, reviewed, (), [])
    assert len({(each.day, each.invalid_class) for each in rows}) == len(rows)
    assert sum(each.events for each in rows) == sum(each.events for each in sums)
    assert sum(each.under_review for each in rows) == sum(each.events for each in reviewed)
    assert [each.day for each in rows] == sorted((each.day for each in rows), reverse=True)
    assert all(each.events or each.under_review for each in rows)
