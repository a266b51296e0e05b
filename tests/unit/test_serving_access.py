"""Who may do what: credentials, keys, tokens, the guard."""

import asyncio
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.testclient import TestClient

from ingestion.contract.problem import Problem
from serving_layer.access.access import GRANTS, Caller, Role, Scope
from serving_layer.access.api_keys import parsed
from serving_layer.access.claims import caller_of_claims
from serving_layer.access.http_access import refuse_unguarded
from serving_layer.access.http_needs import OwnPayee, needing
from serving_layer.access.identification import GRACE_SECONDS, REMEMBERED_SECONDS
from serving_layer.access.jwt_key_set import PAUSE_SECONDS, CachedKeySet, FetchFailedError
from serving_layer.access.jwt_local_issuer import LocalIssuer
from serving_layer.access.jwt_tokens import Issuer, TokenVerifier
from serving_layer.access.limits_requests import RequestLimits
from serving_layer.problems.problems import ProblemError
from tests.serving_access import CALLERS, ISSUER, OTHER, OWNER, FakeKeys, access_of, bearer, guard_of

KEY_ID = "0123456789abcdef"


def refused_with(awaitable: Any) -> str:
    with pytest.raises(ProblemError) as caught:
        asyncio.run(awaitable)
    return caught.value.problem.code


def token_of(header: dict[str, str]) -> str:
    return header["Authorization"].removeprefix("Bearer ")


def test_a_creator_is_bound_to_the_payee_of_the_token() -> None:
    caller = asyncio.run(access_of().caller(CALLERS["owner"]["Authorization"]))
    assert (caller.role, caller.payee_id, caller.scopes) == (Role.CREATOR, OWNER, GRANTS[Role.CREATOR])
    assert caller.sees_payee(OWNER)
    assert not caller.sees_payee(OTHER)
    assert caller.sees_any_payee([OTHER, OWNER])
    assert not caller.sees_any_payee([OTHER])


def test_a_role_that_is_bound_to_none_sees_every_payee_and_nobody_sees_none() -> None:
    assert asyncio.run(access_of().caller(CALLERS["finance"]["Authorization"])).sees_payee(OWNER)
    assert not asyncio.run(access_of().caller(None)).sees_payee(OWNER)
    assert not asyncio.run(access_of().caller(None)).sees_any_payee([OWNER])


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ("Basic YTpi", "credentials_malformed"),
        ("Bearer", "credentials_malformed"),
        ("Bearer " + "x" * 9_000, "credentials_malformed"),
        ("Bearer nonsense", "token_invalid"),
        ("Bearer a.b.c", "token_invalid"),
        ("Bearer vlk_short", "key_unknown"),
        (f"Bearer vlk_{KEY_ID}_{'x' * 43}", "key_unknown"),
        (CALLERS["expired"]["Authorization"], "token_expired"),
        (CALLERS["wrong audience"]["Authorization"], "token_audience"),
    ],
)
def test_a_credential_that_does_not_hold_is_refused_with_its_reason(header: str, code: str) -> None:
    assert refused_with(access_of().caller(header)) == code


def test_a_token_signed_by_somebody_else_is_refused() -> None:
    forger = LocalIssuer(b"f" * 32)
    forged = forger.token(
        subject="x", role=Role.FINANCE, payee_id=None, now=datetime.now(UTC), lifetime=timedelta(hours=1)
    )
    assert refused_with(access_of().caller_of(forged)) == "token_invalid"


def claims(**changes: Any) -> dict[str, Any]:
    now = time.time()
    found = {"iss": "https://id.example", "sub": "anna", "aud": "viewledger", "exp": now + 60, "role": "finance"}
    return {key: value for key, value in (found | changes).items() if value is not None}


def test_a_token_without_a_signature_or_with_a_symmetric_one_is_refused() -> None:
    local = {"iss": "urn:viewledger:local"}
    unsigned = jwt.encode(claims(**local), None, algorithm="none")
    symmetric = jwt.encode(claims(**local), "k" * 64, algorithm="HS256")
    for token in (unsigned, symmetric):
        assert refused_with(access_of().caller_of(token)) == "token_invalid"


class Provider:
    """An identity provider with one RSA key, counted fetches, and a clock moved by hand."""

    def __init__(self) -> None:
        self.private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.now, self.fetches, self.is_away = 0.0, 0, False
        self.key_ids = ["first"]
        keys = CachedKeySet(self.fetch, lambda: self.now)
        self.verifier = TokenVerifier([Issuer("https://id.example", ("viewledger",), ("RS256",), keys)])

    async def fetch(self) -> dict[str, Any]:
        self.fetches += 1
        if self.is_away:
            raise FetchFailedError("away")
        public = jwt.algorithms.RSAAlgorithm.to_jwk(self.private.public_key(), as_dict=True)
        return {"keys": [{**public, "kid": kid, "alg": "RS256", "use": "sig"} for kid in self.key_ids]}

    def token(self, key_id: str = "first", **changes: Any) -> str:
        return jwt.encode(claims(**changes), self.private, algorithm="RS256", headers={"kid": key_id})


def test_an_identity_providers_token_is_accepted_and_its_keys_are_kept() -> None:
    async def both() -> None:
        provider = Provider()
        for _ in range(3):
            caller, _ = await provider.verifier.caller(provider.token())
            assert (caller.role, caller.subject) == (Role.FINANCE, "https://id.example anna")
        assert provider.fetches == 1

    asyncio.run(both())


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"exp": 1}, "token_expired"),
        ({"nbf": 2**32}, "token_not_yet_valid"),
        ({"aud": "other"}, "token_audience"),
        ({"aud": None}, "token_audience"),
        ({"iss": "https://other.example"}, "token_invalid"),
        ({"iss": None}, "token_invalid"),
        ({"exp": None}, "token_invalid"),
        ({"sub": None}, "token_invalid"),
        ({"role": "root"}, "token_invalid"),
        ({"role": None}, "token_invalid"),
        ({"role": "machine"}, "token_invalid"),
        ({"role": "creator"}, "token_invalid"),
        ({"role": "creator", "payee": 7}, "token_invalid"),
    ],
)
def test_every_claim_is_checked(changes: dict[str, Any], code: str) -> None:
    provider = Provider()
    assert refused_with(provider.verifier.caller(provider.token(**changes))) == code


def test_an_algorithm_outside_the_list_is_refused_even_with_a_good_signature() -> None:
    provider = Provider()
    private = ec.generate_private_key(ec.SECP256R1())
    token = jwt.encode(claims(), private, algorithm="ES256", headers={"kid": "first"})
    assert refused_with(provider.verifier.caller(token)) == "token_invalid"
    assert provider.fetches == 0


def test_made_up_key_ids_cannot_make_the_provider_be_asked_again_and_again() -> None:
    async def asked() -> None:
        provider = Provider()
        for number in range(20):
            with pytest.raises(ProblemError):
                await provider.verifier.caller(provider.token(f"made-up-{number}"))
        assert provider.fetches == 1
        provider.key_ids = ["second"]
        provider.now += PAUSE_SECONDS
        await provider.verifier.caller(provider.token("second"))
        assert provider.fetches == 2

    asyncio.run(asked())


def test_known_keys_serve_on_while_the_provider_is_away_and_unknown_ones_are_its_fault() -> None:
    async def away() -> None:
        provider = Provider()
        await provider.verifier.caller(provider.token())
        provider.is_away = True
        provider.now += 3600
        await provider.verifier.caller(provider.token())
        provider.now += 48 * 3600
        with pytest.raises(ProblemError) as caught:
            await provider.verifier.caller(provider.token())
        assert caught.value.problem.code == "identity_provider_unavailable"

    asyncio.run(away())


def test_a_scope_claim_narrows_a_role_and_the_words_of_openid_do_not() -> None:
    narrow = caller_of_claims(claims(scope="openid counts:read"))
    assert narrow.scopes == {Scope.COUNTS}
    assert caller_of_claims(claims(scope="openid profile")).scopes == GRANTS[Role.FINANCE]
    assert caller_of_claims(claims(role="operator", scope="statements:read counts:read")).scopes == {Scope.COUNTS}


def test_a_key_is_remembered_for_seconds_and_a_revoked_one_is_refused_after_them() -> None:
    keys, now = FakeKeys(), [time.time()]
    header = keys.add(KEY_ID, Scope.COUNTS)
    access = access_of(keys, clock=lambda: now[0])

    def ask() -> Caller:
        return asyncio.run(access.caller(header["Authorization"]))

    assert ask().scopes == ask().scopes == {Scope.COUNTS}
    assert keys.asked == 1
    keys.add(KEY_ID, Scope.COUNTS, revoked_at=datetime.now(UTC))
    now[0] += REMEMBERED_SECONDS
    assert refused_with(access.caller(header["Authorization"])) == "key_revoked"
    keys.is_away = True
    assert refused_with(access.caller(header["Authorization"])) == "access_unavailable"


def test_a_key_that_was_good_serves_on_while_postgres_is_away_but_not_past_its_end() -> None:
    keys, now = FakeKeys(), [time.time()]
    header = keys.add(KEY_ID, Scope.COUNTS)
    access = access_of(keys, clock=lambda: now[0])
    asyncio.run(access.caller(header["Authorization"]))
    keys.is_away = True
    now[0] += GRACE_SECONDS - 1
    assert asyncio.run(access.caller(header["Authorization"])).may(Scope.COUNTS)
    now[0] += 2
    assert refused_with(access.caller(header["Authorization"])) == "access_unavailable"


def test_an_expired_key_and_a_wrong_secret_are_refused() -> None:
    keys = FakeKeys()
    header = keys.add(KEY_ID, Scope.COUNTS, expires_at=datetime.now(UTC) - timedelta(seconds=1))
    assert refused_with(access_of(keys).caller(header["Authorization"])) == "key_expired"
    keys.add(KEY_ID, Scope.COUNTS)
    wrong = header["Authorization"][:-1] + "x"
    assert refused_with(access_of(keys).caller(wrong)) == "key_unknown"
    assert parsed(token_of(header))[0] == KEY_ID


async def secret(caller: Annotated[Caller, needing(Scope.STATEMENTS)], payee_id: OwnPayee) -> Response:
    return Response(f"{caller.payee_id}")


async def broken(caller: Annotated[Caller, needing(Scope.COUNTS)]) -> Response:
    raise ZeroDivisionError("a secret")


@pytest.fixture
def proxy() -> Iterator[TestClient]:
    guard = guard_of(caller="3/minute", refused="2/minute")
    routes = [
        guard.route("/channels/{payee_id}", secret),
        guard.route("/broken", broken),
    ]
    with TestClient(FastAPI(routes=routes), raise_server_exceptions=False) as client:
        yield client


@pytest.mark.parametrize(
    ("who", "status", "code"),
    [
        ("owner", 200, None),
        ("other creator", 404, "not_found"),
        ("finance", 200, None),
        ("auditor", 200, None),
        ("operator", 403, "scope_missing"),
        ("anonymous", 401, "credentials_missing"),
        ("expired", 401, "token_expired"),
        ("wrong audience", 401, "token_audience"),
    ],
)
def test_the_guard_lets_in_who_may_and_tells_the_others_apart(
    proxy: TestClient, who: str, status: int, code: str | None
) -> None:
    answer = proxy.get(f"/channels/{OWNER}", headers=CALLERS[who])
    assert answer.status_code == status
    assert code is None or answer.json()["code"] == code
    assert (status == 401) == ("www-authenticate" in answer.headers and answer.status_code == 401)


def test_a_sender_over_the_limit_is_told_when_to_come_back(proxy: TestClient) -> None:
    answers = [proxy.get(f"/channels/{OWNER}", headers=CALLERS["owner"]) for _ in range(4)]
    assert [each.status_code for each in answers] == [200, 200, 200, 429]
    assert answers[0].headers["ratelimit-policy"] == '"caller";q=3;w=60'
    assert answers[0].headers["ratelimit"].startswith('"caller";r=2;t=')
    assert 1 <= int(answers[3].headers["retry-after"]) <= 60
    assert answers[3].json()["code"] == "rate_limited"
    assert proxy.get(f"/channels/{OWNER}", headers=CALLERS["finance"]).status_code == 200, "others are not limited"


def test_guessing_credentials_has_a_limit_of_its_own(proxy: TestClient) -> None:
    answers = [proxy.get("/broken", headers={"Authorization": f"Bearer vlk_{n}"}).status_code for n in range(3)]
    assert answers == [401, 401, 429]


def test_an_unexpected_error_is_one_sentence_and_its_request_id(proxy: TestClient, caplog: Any) -> None:
    answer = proxy.get("/broken", headers={"X-Request-Id": "mine-1"})
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert answer.headers["x-request-id"] == "mine-1"
    assert "secret" not in answer.text
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize("sent", ["", "a b", "x" * 65, "ä", "<script>"])
def test_a_request_id_that_is_not_well_formed_is_replaced(proxy: TestClient, sent: str) -> None:
    answer = proxy.get(f"/channels/{OWNER}", headers=[("X-Request-Id", sent.encode())])
    assert answer.headers["x-request-id"] != sent
    assert len(answer.headers["x-request-id"]) == 16


def test_a_route_that_no_guard_made_is_not_served() -> None:
    with pytest.raises(TypeError):
        refuse_unguarded([Route("/open", lambda request: Response("x"))])


async def anybody() -> Response:
    return Response("x")


def test_a_route_whose_endpoint_does_not_declare_its_caller_is_not_made() -> None:
    with pytest.raises(TypeError, match="/x does not declare who may ask"):
        guard_of().route("/x", anybody)


async def numbered(caller: Annotated[Caller, needing(Scope.COUNTS)], number: int) -> Response:
    return Response(f"{number}")


@pytest.mark.parametrize("query", ["", "?number=x", "?number=1.5", "?number=" + "9" * 5_000])
def test_what_fastapi_itself_notices_is_a_problem_of_ours_that_names_the_parameter(query: str) -> None:
    client = TestClient(FastAPI(routes=[guard_of().route("/x", numbered)]))
    answer = client.get(f"/x{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, "http_error")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"].startswith("number is not valid: ")
    assert len(answer.content) < 1_000
    assert client.get("/x?number=7").text == "7"


def test_another_guard_may_show_problems_as_pages() -> None:
    def page(request: Request, problem: Problem) -> Response:
        return Response(f"<p>{problem.detail}</p>", problem.status, media_type="text/html")

    app = FastAPI(routes=[guard_of().showing(page).route("/x/{payee_id}", secret)])
    answer = TestClient(app).get("/x/y")
    assert (answer.status_code, answer.headers["content-type"]) == (401, "text/html; charset=utf-8")


def test_the_counters_of_limits_are_bounded_and_end_with_their_window(monkeypatch: Any) -> None:
    monkeypatch.setattr("serving_layer.access.limits_requests.KEYS_MAX", 3)
    now = [1000.0]
    limits = RequestLimits(lambda: now[0], anonymous="1/minute", caller="1/minute")
    for sender in "abcd":
        assert limits.hit("anonymous", sender).is_allowed
    assert not limits.hit("anonymous", "d").is_allowed
    assert limits.hit("anonymous", "a").is_allowed, "the oldest was forgotten"
    now[0] += 60
    assert limits.hit("anonymous", "d").is_allowed
    assert limits.hit("anonymous", "e", cost=2).is_allowed is False


def test_the_local_issuer_limits_the_life_of_a_token() -> None:
    token = ISSUER.token(
        subject="x", role=Role.FINANCE, payee_id=None, now=datetime.now(UTC), lifetime=timedelta(days=30)
    )
    _, expires_at = asyncio.run(TokenVerifier([ISSUER.accepted()]).caller(token))
    assert expires_at < time.time() + 86_400 + 60
    assert bearer(Role.FINANCE)
