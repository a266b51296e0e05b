"""The portal of a real API process on real books: from signing in to a decision about money."""

import json
import re
import secrets
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psycopg2
import pytest
import redis

import jobs.commands.billing.run
from billing.books.postgres_holds import PostgresHolds
from billing.books.states import Move
from billing.postgres_session import connector
from jobs.cli import main
from jobs.local_stack.stack import LocalStack, temporary_folder
from jobs.wiring.access_settings import local_issuer
from serving_layer.access.access import Role
from serving_layer.access.jwt_local_issuer import LIFETIME_MAX
from speed_layer.postgres_replays import PostgresReplays
from speed_layer.redis_segment_store import RedisSegmentStore
from tests.api_document import described_route, hold
from tests.billing_fakes import Count, FakeSettledViews, published
from tests.oidc_provider import running_provider
from tests.server_process import ServerProcess, server_process
from tests.serving_postgres import publish

ROOT = Path(__file__).parents[2]
RATES = ROOT / "deploy" / "sample" / "rates.yaml"
DAY = date(2026, 10, 5)


@pytest.fixture(scope="module")
def stack() -> Iterator[LocalStack]:
    with temporary_folder() as folder, LocalStack.start(folder / "stack", servers=("redis", "postgres")) as running:
        yield running


@pytest.fixture(scope="module")
def web_url(stack: LocalStack) -> str:
    """The URL of the login that docs/operate/billing-operations.md gives to the API's process."""
    url, password = stack.environment["VIEWLEDGER_POSTGRES_URL"], secrets.token_hex(8)
    page = (ROOT / "docs" / "operate" / "billing-operations.md").read_text()
    found = re.search(r"^    (CREATE ROLE web LOGIN PASSWORD '…' IN ROLE [a-z_, ]+);$", page, re.M)
    assert found is not None
    connection = psycopg2.connect(url)
    with connection, connection.cursor() as cursor:
        cursor.execute(found[1].replace("…", password))
    connection.close()
    parts = urlsplit(url)
    return parts._replace(netloc=f"web:{password}@{parts.hostname}:{parts.port}").geturl()


@pytest.fixture(scope="module")
def api(stack: LocalStack, web_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """An API over one version and one billed month whose statements wait for approval, with a login of its own."""
    folder = tmp_path_factory.mktemp("files")
    publish(stack.environment["VIEWLEDGER_POSTGRES_URL"], {"-v": (19, 6), "w": (1, 1)}, partition_count=12)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**stack.environment, "VIEWLEDGER_APPROVAL_LIMITS": "*=0"}.items():
            patch.setenv(name, value)
        bill(folder, patch)
    environ = {**stack.environment, "VIEWLEDGER_API_POSTGRES_URL": web_url}
    with server_process("jobs.processes.api", "VIEWLEDGER_API_PORT", environ) as running:
        yield running


def bill(folder: Path, patch: pytest.MonkeyPatch) -> None:
    rows = [Count("-v", DAY, "US", 9, 4), Count("-v", DAY, None, 9, 2), Count("w", DAY, "FR", 1, 1)]

    @contextmanager
    def open_fake(_: object) -> Iterator[FakeSettledViews]:
        yield FakeSettledViews(rows, published(version=1))

    patch.setattr(jobs.commands.billing.run, "open_settled_views", open_fake)
    (folder / "payees.csv").write_text("payee_id,name\nann,Ann\nbob,Bob\n")
    (folder / "videos.csv").write_text("video_id,payee_id,title\n-v,ann,A walk by the sea\nw,bob,\n")
    files = [f"--{name}={folder / name}.csv" for name in ("payees", "videos")]
    assert main(["billing", "catalogue", "import", *files, f"--rates={RATES}"]) == 0
    assert main(["billing", "run", "--period", "2026-10"]) == 0


def token(environ: Mapping[str, str], role: Role, payee_id: str | None = None) -> str:
    issuer = local_issuer(environ)
    assert issuer is not None
    now = datetime.now(UTC)
    return issuer.token(subject=role.value, role=role, payee_id=payee_id, now=now, lifetime=LIFETIME_MAX)


@contextmanager
def signed_in(api: ServerProcess, credential: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=api.client.base_url, timeout=30, follow_redirects=True, trust_env=False) as client:
        answer = client.post("/portal/sign-in", data=form(client.get("/portal/sign-in").text, credential=credential))
        assert answer.status_code == 200, answer.text
        yield client


def decide_appeals(url: str) -> None:
    holds = PostgresHolds(connector(url, "viewledger_billing"))
    for each in holds.appeals():
        holds.decide_appeal(each.appeal_id, Move("rejected", "max", "the evidence says otherwise"))


def form(page: str, **fields: str) -> dict[str, str]:
    found = re.search(r'name="csrf" value="([0-9a-f]{64})"', page)
    assert found is not None
    return {"csrf": found.group(1), **fields}


def statement_path(page: str) -> str:
    (path,) = set(re.findall(r'href="(/portal/statements/[0-9a-f]{32})"', page))
    return str(path)


def test_a_month_is_approved_by_finance_seen_and_appealed_by_its_payee(api: ServerProcess, stack: LocalStack) -> None:
    environ = stack.environment
    with signed_in(api, token(environ, Role.CREATOR, "ann")) as ann:
        assert "Ann" in ann.get("/portal/dashboard").text
        assert "No statement yet" in ann.get("/portal/statements").text
        assert "A walk by the sea" in ann.get("/portal/videos").text
        assert 'href="/portal/videos/-v"' in ann.get("/portal/videos?search=BY THE").text
        assert 'href="/portal/videos/-v"' not in ann.get("/portal/videos?search=by a lake").text
        assert ann.get("/portal/videos/-v").status_code == 200
        assert ann.get("/portal/videos/w").status_code == 404
        with ann.stream("GET", "/portal/dashboard/live") as stream:
            first = next(line for line in stream.iter_lines() if line.startswith("data:"))
        headers = {"Authorization": f"Bearer {token(environ, Role.CREATOR, 'ann')}"}
        assert (
            json.loads(first.removeprefix("data:")) == api.client.get("/v1/channels/ann/views", headers=headers).json()
        )
        assert api.client.get("/v1/channels/bob/views/live", headers=headers).status_code == 404
    with signed_in(api, token(environ, Role.FINANCE)) as finance:
        waiting = finance.get("/portal/operator/approvals").text
        assert "Ann" in waiting
        assert "above the approval limit" in waiting
        paths = sorted(set(re.findall(r'href="(/portal/statements/[0-9a-f]{32})"', waiting)))
        assert len(paths) == 2
        for path in paths:
            page = finance.get(path).text
            decided = finance.post(path.replace("/statements/", "/operator/statements/") + "/approve", data=form(page))
            assert "is approved" in decided.text, decided.text
            assert "finalised" in decided.text
        again = finance.post(
            path.replace("/statements/", "/operator/statements/") + "/approve", data=form(decided.text)
        )
        assert (again.status_code, "cannot become approved" in again.text) == (409, True)
    with signed_in(api, token(environ, Role.CREATOR, "ann")) as ann:
        path = statement_path(ann.get("/portal/statements").text)
        page = ann.get(path).text
        assert "0.016469 USD" in page  # US 4 × 3500001 and default 2 × 1234567, in micros, rounded down once
        assert ann.get(path + ".csv").text.count("\n") == 3
        assert ann.get(path + ".json").json()["payable_micros"] == 16_469
        assert ann.get(path + ".json").json()["lines"][0]["title"] == "A walk by the sea"
        (request_key,) = re.findall(r'name="request_key" value="([^"]+)"', page)
        statement_id = path.rpartition("/")[2]
        data = form(page, statement_id=statement_id, request_key=request_key, text="too little")
        for _ in range(2):
            assert "Your appeal is recorded" in ann.post("/portal/appeals", data=data).text
        assert ann.get("/portal/notices").text.count("too little") == 1
        second = ann.post("/portal/appeals", data=data | {"request_key": "another", "text": "and again"})
        assert (second.status_code, "has an open appeal already" in second.text) == (409, True)
        url, appeal = f"/v1/statements/{statement_id}/appeals", {"objection": "by the API"}
        keyed = {**headers, "Idempotency-Key": "one"}
        refused = api.client.post(url, json=appeal, headers=keyed)
        assert (refused.status_code, refused.json()["code"]) == (409, "appeal_open")
        decide_appeals(environ["VIEWLEDGER_POSTGRES_URL"])
        with ThreadPoolExecutor(8) as threads:
            answers = list(threads.map(lambda _: api.client.post(url, json=appeal, headers=keyed), range(8)))
        assert {(answer.status_code, answer.text) for answer in answers} == {(201, answers[0].text)}
        assert ann.get("/portal/notices").text.count("by the API") == 1
        other = api.client.post(url, json={"objection": "other words"}, headers=keyed)
        assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    with signed_in(api, token(environ, Role.CREATOR, "bob")) as bob:
        assert bob.get(path).status_code == 404
        assert "too little" not in bob.get("/portal/notices").text
    with signed_in(api, token(environ, Role.FINANCE)) as finance:
        waiting = finance.get("/portal/operator/approvals").text
        assert ("by the API" in waiting, "too little" in waiting) == (True, False)


def test_the_estimate_of_today_is_in_the_money_of_the_contract_and_shown_to_its_payee_alone(
    api: ServerProcess, stack: LocalStack
) -> None:
    """Ten views of today are settled, eight of them billable and six of these in the US; three more are live."""
    with (
        closing(psycopg2.connect(stack.environment["VIEWLEDGER_POSTGRES_URL"])) as books,
        books,
        books.cursor() as cursor,
    ):
        cursor.execute(
            "INSERT INTO published.video_day_changes (video_id, event_day, version, views_change, billable_change,"
            " seconds_change, quarters, countries, devices, cell_views, cell_billable, cell_seconds)"
            " VALUES ('-v', (now() AT TIME ZONE 'UTC')::date, 1, 10, 8, 600, '{0,0}', '{US,FR}', '{tv,tv}', '{7,3}',"
            " '{6,2}', '{400,200}')"
        )
    headers = {
        who: {"Authorization": f"Bearer {token(stack.environment, Role.CREATOR, who)}"} for who in ("ann", "bob")
    }
    path = "/v1/channels/ann/estimate"
    without_speed = api.client.get(path, headers=headers["ann"]).json()
    assert [without_speed[name] for name in ("complete", "billable_views_at_most", "live_views")] == [False, None, None]
    redis_url = stack.environment["VIEWLEDGER_REDIS_URL"]
    speed, client = RedisSegmentStore.connect(redis_url), redis.Redis.from_url(redis_url)
    for partition in range(12):
        speed.reset(partition, position=100, segment=100, replay_until=0)
    client.hset("{views:3}:segment:100", "-v", 3)
    client.close()
    speed.beat(dict.fromkeys(range(12), 100), speed.now_ms(), "0:log")
    answer = api.client.get(path, headers=headers["ann"])
    found = answer.json()
    assert (found["kind"], found["complete"], found["checked_days"]) == ("estimate", True, 0), answer.text
    assert [found[f"billable_views_{end}"] for end in ("at_least", "at_most")] == [0, 11]
    # six and three at the rate of the US, two at the default; the rest of a micro is rounded up
    assert [found["currency"], found["earned_micros_at_most"]] == ["USD", (9 * 3_500_001 + 2 * 1_234_567) // 1_000 + 1]
    assert found["earned_micros_at_least"] == 0
    assert api.client.get(path, headers=headers["bob"]).status_code == 404
    assert api.client.get(path).status_code == 401
    document = api.client.get("/openapi.json").json()
    hold(document, described_route(document, "GET", "/v1/channels/{payee_id}/estimate"), answer)
    with signed_in(api, token(stack.environment, Role.CREATOR, "ann")) as ann:
        page = ann.get("/portal/earnings").text
    assert "Estimate for today" in page
    assert "at least 0" in page


def test_an_operator_sees_versions_and_what_does_not_answer(api: ServerProcess, stack: LocalStack) -> None:
    with signed_in(api, token(stack.environment, Role.OPERATOR)) as operator:
        assert "No run yet" in operator.get("/portal/operator/runs").text
        versions = operator.get("/portal/operator/versions").text
        assert "current" in versions
        assert "None yet" in versions
        health = operator.get("/portal/operator").text
        assert "does not answer" in health  # there is no Kafka in this stack
        assert "Kafka does not answer" in operator.get("/portal/operator/dead-letters").text


def test_events_are_said_to_be_away_while_the_batch_tables_are(api: ServerProcess, stack: LocalStack) -> None:
    event_id = "8f14e45f-ceea-467f-9a3c-1b2d3e4f5a6b"
    with signed_in(api, token(stack.environment, Role.AUDITOR)) as auditor:
        assert "The batch tables do not answer" in auditor.get(f"/portal/events?event_id={event_id}").text


@pytest.mark.parametrize("credential", ["nonsense", "a.b.c"])
def test_who_has_no_good_credential_does_not_come_in(api: ServerProcess, credential: str) -> None:
    page = api.client.get("/portal/sign-in")
    answer = api.client.post("/portal/sign-in", data=form(page.text, credential=credential))
    assert answer.status_code == 401
    assert api.client.get("/portal/dashboard").status_code == 303


def test_somebody_signs_in_at_the_identity_provider_and_sees_their_dashboard(
    api: ServerProcess, stack: LocalStack
) -> None:
    """`api` is what billed and imported; the process here is told of a provider, too."""
    portal_url = "http://127.0.0.1:7"
    with running_provider() as provider:
        environ = {**stack.environment, **provider.environ(portal_url), "VIEWLEDGER_OIDC_ALGORITHMS": "ES256"}
        with (
            server_process("jobs.processes.api", "VIEWLEDGER_API_PORT", environ) as running,
            httpx.Client(base_url=running.client.base_url, timeout=30, trust_env=False) as browser,
        ):
            assert (
                browser.get("/portal/dashboard").headers["location"] == "/portal/sign-in?return=%2Fportal%2Fdashboard"
            )
            left = browser.get("/portal/sign-in/leave?return=/portal/dashboard").headers["location"]
            back = httpx.get(left, timeout=30, trust_env=False).headers["location"]
            answer = browser.get(back.removeprefix(portal_url))
            assert (answer.status_code, answer.headers["location"]) == (303, "/portal/dashboard")
            assert "Ann" in browser.get("/portal/dashboard").text
            credential = browser.cookies["viewledger_session"]
            refused = browser.get("/v1/channels/ann/views", headers={"Authorization": f"Bearer {credential}"})
            assert (refused.status_code, refused.json()["code"]) == (401, "token_invalid"), "a cookie is not a token"


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE published.pointer SET version = 1",
        "INSERT INTO published.video_counts VALUES ('a', 1, 9, 9)",
        "DELETE FROM billing.entries",
        "UPDATE billing.statements SET payable_micros = 1",
        "DELETE FROM billing.answered_requests",
        "UPDATE access.api_keys SET revoked_at = NULL",
        "INSERT INTO access.api_keys (key_id) VALUES ('a')",
        "DELETE FROM ingestion.replays",
        "CREATE TABLE billing.another (n integer)",
        "ALTER TABLE billing.entries DISABLE TRIGGER ALL",
    ],
)
def test_the_login_of_the_api_changes_nothing_that_stands(web_url: str, statement: str) -> None:
    connection = psycopg2.connect(web_url)
    with pytest.raises(psycopg2.errors.InsufficientPrivilege), connection, connection.cursor() as cursor:
        cursor.execute(statement)
    connection.close()


def test_the_login_of_the_api_puts_on_record_that_a_dead_letter_is_sent_again(web_url: str) -> None:
    replays = PostgresReplays(web_url, "some-topic")
    assert not replays.is_replayed(3, 17)
    replays.remember(3, 17, "olga")
    assert replays.is_replayed(3, 17)
