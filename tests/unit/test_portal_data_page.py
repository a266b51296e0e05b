"""The data page over HTTP, on a fake: every answer has its table, SQL, CSV and version; and its questions, alone."""

import csv
import io
import re
from collections.abc import Iterator
from datetime import date
from urllib.parse import parse_qsl

import pytest
from starlette.testclient import TestClient

from ingestion.contract.unavailable import Part
from serving_layer.portal.data_questions import AskedSpan, CalendarSpan, questions, quoted
from serving_layer.portal.formatting import duration
from tests.portal_data_fakes import ANSWERS, before, views_on
from tests.portal_fakes import FakePorts
from tests.unit.test_portal_finance_pages import text
from tests.unit.test_portal_pages import signed_in


@pytest.fixture
def ports() -> FakePorts:
    return FakePorts()


@pytest.fixture
def client(ports: FakePorts) -> Iterator[TestClient]:
    with signed_in(ports, "aud") as client:
        yield client


def test_the_page_begins_with_the_month_that_is_settled_last(client: TestClient) -> None:
    page = client.get("/portal/data").text
    shown = text(page)
    assert "Data: 2026-11" in shown
    assert "Settled views of version 7 (October report)" in shown
    assert f"2026-11-24 {views_on(date(2026, 11, 24)):,}" in shown
    assert "A walk &lt;b&gt;by the sea&lt;/b&gt;" in page
    assert "Ann&#39;s &lt;b&gt;walks&lt;/b&gt;" in page
    assert 'href="/portal/data?span=month&amp;on=2026-11-01&amp;channel=ann"' in page


def test_a_span_is_compared_with_the_one_before(client: TestClient) -> None:
    shown = text(client.get("/portal/data").text)
    now, same_days = (sum(row[place] for row in ANSWERS["days"]) for place in (1, 3))
    assert f"Views {now:,} +{now - same_days:,} {(now - same_days) / same_days:+.1%}".replace("%", " %") in shown
    assert f"against {same_days:,}" in shown


def test_every_answer_has_its_sql_its_file_and_its_version(client: TestClient) -> None:
    page = client.get("/portal/data?span=week&on=2026-11-18&country=DE").text
    for name, sql in questions(AskedSpan(CalendarSpan.WEEK, date(2026, 11, 16), country="DE")).items():
        assert sql.replace("'", "&#39;").replace(">", "&gt;").replace("<", "&lt;") in page, name
        (link,) = {each for each in re.findall(r'href="([^"]*)">CSV', page) if f"/{name}.csv" in each}
        assert dict(parse_qsl(link.partition("?")[2].replace("&amp;", "&"))) == {
            "span": "week",
            "on": "2026-11-16",
            "country": "DE",
        }
        rows = list(csv.reader(io.StringIO(client.get(link.replace("&amp;", "&")).text)))
        assert len(rows) == len(ANSWERS[name]) + 1
        assert (rows[0][-2:], rows[1][-2:]) == (["version", "settled_until"], ["7", "2026-11-25T09:00:00Z"])


def test_a_title_does_not_become_a_formula_in_a_file(client: TestClient) -> None:
    assert "'=1+1 street food" in client.get("/portal/data/top_videos.csv").text


def test_what_is_not_filtered_is_named_beside_a_filter(client: TestClient) -> None:
    assert "rankings of videos are kept of the whole platform" not in client.get("/portal/data").text
    shown = text(client.get("/portal/data?device=tv").text)
    assert shown.count("rankings of videos are kept of the whole platform") == 2
    assert "the tally of a day is not split by them" in shown


def test_a_channel_in_a_ranking_leads_to_its_own_page_with_the_other_filters(client: TestClient) -> None:
    page = client.get("/portal/data?span=week&on=2026-11-18&country=DE&device=tv&channel=bob").text
    assert (
        page.count('href="/portal/data?span=week&amp;on=2026-11-16&amp;country=DE&amp;device=tv&amp;channel=ann"') == 2
    )


def test_groups_and_rankings_say_how_long_an_average_view_lasts(client: TestClient) -> None:
    shown = text(client.get("/portal/data").text)
    assert "DE 700,000 560,000 +90,000 +14.8 % 1:31" in shown
    assert "=1+1 street food -walk_02 190,000 155,000 +64,000 1:02:05" in shown
    assert "-walk_03 90,000 70,000 −4,000 –" in shown, "a video whose seconds are not summed"
    (first, *_) = csv.DictReader(io.StringIO(client.get("/portal/data/top_channels.csv").text))
    assert (first["payee_id"], first["average_view_duration"]) == ("ann", "88.000")


def test_nothing_says_what_will_appear_and_when(client: TestClient, ports: FakePorts) -> None:
    ports.data.is_empty = True
    shown = text(client.get("/portal/data").text)
    assert "No view of these days is settled. Views appear here with the batch run that counts them." in shown
    assert "The shares appear here with the first version that this release publishes" in shown
    assert "None has more views than in the month before. They appear here with the batch run" in shown
    filtered = text(client.get("/portal/data?country=DE").text)
    assert "No view of these days is settled with these filters." in filtered
    assert filtered.count("Nothing is settled in these days with these filters. They appear") == 1
    assert filtered.count("None has more views than in the month before with these filters. They appear") == 1


def test_views_that_no_night_has_listed_are_unknown(client: TestClient) -> None:
    shares = client.get("/portal/data/shares.csv?on=2026-11-18").text.splitlines()
    assert {line.split(",")[4] for line in shares[1:]} == {"350", ""}
    shown = text(client.get("/portal/data").text)
    assert "as the last billing nightly listed them; a dash: it listed none of the day" in shown


def test_days_that_are_over_promise_no_views(client: TestClient, ports: FakePorts) -> None:
    ports.data.is_empty = True
    over = text(client.get("/portal/data?on=2026-09-20").text)
    assert "No view of these days was counted." in over
    assert "with the batch run that counts them" not in over
    assert "with the batch run that counts them" in text(client.get("/portal/data?on=2027-05-20").text)


def test_a_country_is_taken_as_events_may_name_it(client: TestClient) -> None:
    assert (
        'href="/portal/data/days.csv?span=month&amp;on=2026-11-01&amp;country=DE"'
        in client.get("/portal/data?country=deu").text
    )
    assert client.get("/portal/data?country=ZZ").status_code == 200
    refused = client.get("/portal/data?country=italy")
    assert (
        refused.status_code,
        "such as DE, or ZZ where none is known; &#39;italy&#39; is none" in text(refused.text),
    ) == (
        422,
        True,
    )


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("device=fridg", "as a player sent it, such as tv; no settled view has &#39;fridg&#39;."),
        ("channel=anna", "is the id of a payee with settled views; no settled view has &#39;anna&#39;."),
        ("device=tv&channel=it's", "is the id of a payee with settled views; no settled view has &#34;it&#39;s&#34;."),
    ],
)
def test_a_device_or_channel_that_no_view_has_is_refused(client: TestClient, query: str, sentence: str) -> None:
    for path in ("/portal/data", "/portal/data/days.csv"):
        refused = client.get(f"{path}?{query}")
        assert (refused.status_code, sentence in text(refused.text)) == (422, True), refused.text
    assert client.get("/portal/data?device=tv&channel=ann").status_code == 200


def test_a_day_beyond_the_calendar_is_told_what_is_allowed(client: TestClient) -> None:
    for sent in ("9999-12-31", "9000-01-02", "1970-01-31", "2026-13-01", "20261120", "2026-W47-5"):
        sentence = f"a day such as 2026-11-20, from 1970-02-01 to 9000-01-01; &#39;{sent}&#39; is none"
        assert sentence in text(client.get(f"/portal/data?on={sent}").text)


@pytest.mark.parametrize("query", ["span=day", "on=lately", "on=0001-01-01", "channel=a%00b", "country=" + "x" * 201])
def test_a_question_that_is_none_is_refused(client: TestClient, query: str) -> None:
    assert client.get(f"/portal/data?{query}").status_code == 422
    assert client.get(f"/portal/data/days.csv?{query}").status_code == 422


def test_without_postgres_a_file_is_not_an_empty_one(client: TestClient, ports: FakePorts) -> None:
    ports.away.add(Part.POSTGRES)
    assert client.get("/portal/data/days.csv").status_code == 503
    assert client.get("/portal/data").status_code == 200
    assert client.get("/portal/data?device=fridg").status_code == 200
    assert client.get("/portal/data/everything.csv").status_code == 404


def test_a_filter_is_a_literal_however_it_is_written() -> None:
    asked = AskedSpan(CalendarSpan.MONTH, date(2026, 10, 1), "DE", "tv' OR 'a' = 'a", "it's")
    assert quoted(asked.device) == "'tv'' OR ''a'' = ''a'"
    for name, sql in questions(asked).items():
        assert sql.count("'") % 2 == 0, name


@pytest.mark.parametrize(
    ("span", "day", "before", "end"),
    [
        (CalendarSpan.MONTH, date(2026, 3, 1), date(2026, 2, 1), date(2026, 4, 1)),
        (CalendarSpan.MONTH, date(2027, 1, 1), date(2026, 12, 1), date(2027, 2, 1)),
        (CalendarSpan.WEEK, date(2026, 11, 30), date(2026, 11, 23), date(2026, 12, 7)),
    ],
)
def test_spans_follow_one_another(span: CalendarSpan, day: date, before: date, end: date) -> None:
    asked = AskedSpan(span, span.start(day))
    assert (asked.before_on, asked.start_on, asked.end_on) == (before, day, end)


def test_each_file_has_what_the_table_beside_it_shows(client: TestClient) -> None:
    page = client.get("/portal/data").text
    for name, title, columns in (
        ("days", "Views by day", ("event_day", "views", "billable_views", "views_before")),
        ("watch_time", "Watch time by day", ("event_day", "watched_seconds", "average_view_duration")),
        (
            "shares",
            "Invalid and under review",
            ("event_day", "counted", "invalid", "invalid_percent", "under_review", "under_review_percent"),
        ),
    ):
        section = page.partition(f"<h2>{title}</h2>")[2].partition("</section>")[0]
        assert section.count('<th scope="col"') == len(columns), title
        assert re.findall(r"/portal/data/(\w+)\.csv", section) == [name]
        rows = list(csv.DictReader(io.StringIO(client.get(f"/portal/data/{name}.csv").text)))
        assert tuple(rows[0])[: len(columns)] == columns
        assert f">{rows[0]['event_day']}</th>" in section


def test_what_the_span_before_does_not_know_is_unknown(client: TestClient) -> None:
    (first, *rows) = csv.DictReader(io.StringIO(client.get("/portal/data/watch_time.csv").text))
    assert (first["event_day"], first["watched_seconds_before"]) == ("2026-11-01", "")
    seconds = sum(views_on(before(date.fromisoformat(row["event_day"]))) * 90 for row in rows)
    assert sum(int(row["watched_seconds_before"]) for row in rows) == seconds
    assert f"against {duration(seconds)}" in text(client.get("/portal/data").text)
