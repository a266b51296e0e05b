"""A claim that is not exactly as described never grants more than the same token without it, and mostly nothing."""

import asyncio
import base64
import json
import random
import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ingestion.contract.printable import is_name
from serving_layer.access.access import GRANTS, Role, Scope
from serving_layer.access.claims import OPENID_WORDS, caller_of_claims
from serving_layer.access.jwt_key_set import FixedKeySet
from serving_layer.access.jwt_tokens import Issuer, TokenVerifier
from serving_layer.problems.problems import ProblemError

SEED = 20261128
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = jwt.PyJWK({**jwt.algorithms.OKPAlgorithm.to_jwk(KEY.public_key(), as_dict=True), "kid": "k", "alg": "EdDSA"})
VERIFIER = TokenVerifier([Issuer("https://id.example", ("viewledger",), ("EdDSA",), FixedKeySet(PUBLIC))])
GOOD = {"iss": "https://id.example", "sub": "anna", "aud": "viewledger", "exp": 4_000_000_000, "role": "finance"}
ODD = (None, True, 0, -1, 1e999, "", " ", [], ["finance"], {}, {"finance": 1}, "Finance", "finance ", "ﬁnance",
       "root", "*", "anonymous", "machine", "a b", "a" * 400, "a\0b", "\u202e", float("nan"), 10**400)  # fmt: skip
REFUSED = ("token_invalid", "token_audience", "token_expired", "token_not_yet_valid")


def granted(claims: dict[str, Any]) -> frozenset[Scope]:
    try:
        return caller_of_claims(claims).scopes
    except ProblemError as error:
        return frozenset() if error.problem.code == "token_invalid" else frozenset(Scope)


def refusal(header: dict[str, Any], claims: Any) -> str:
    """The code by which a token with a good signature is refused; empty where it is not."""
    content = ".".join(_part(each) for each in (header, claims))
    signature = base64.urlsafe_b64encode(KEY.sign(content.encode())).decode().rstrip("=")
    try:
        asyncio.run(VERIFIER.caller(f"{content}.{signature}"))
    except ProblemError as error:
        return error.problem.code if error.problem.status == 401 else str(error.problem.status)
    return ""


def _part(value: Any) -> str:
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(text).decode().rstrip("=")


HEADER = {"alg": "EdDSA", "kid": "k", "typ": "JWT"}


def test_the_good_token_holds() -> None:
    assert refusal(HEADER, GOOD) == ""
    assert refusal({"alg": "EdDSA", "typ": "at+jwt"}, GOOD) == ""


@pytest.mark.parametrize("role", sorted(GRANTS))
def test_no_word_of_a_scope_grants_what_it_does_not_name(role: Role) -> None:
    rng, payee = random.Random(SEED), {"payee": "ann"}
    claims = {**GOOD, "role": str(role), **payee}
    words = [*Scope, *OPENID_WORDS]
    for _ in range(2_000):
        chosen = [
            _misspelt(rng, word) if rng.random() < 0.5 else str(word) for word in rng.sample(words, rng.randrange(4))
        ]
        if set(chosen) <= OPENID_WORDS and chosen:
            expected = GRANTS[role]
        else:
            expected = frozenset(scope for scope in GRANTS[role] if scope.value in chosen)
        assert granted({**claims, "scope": " ".join(chosen)}) == expected, (SEED, chosen)


def _misspelt(rng: random.Random, word: str) -> str:
    at = rng.randrange(len(word))
    return rng.choice(
        [word[:at] + word[at + 1 :], word.upper(), word + "s", f"{word},", word.replace(":", "."), f"{word}\u200b"]
    )


@pytest.mark.parametrize("value", ODD, ids=repr)
@pytest.mark.parametrize("name", ["role", "scope"])
def test_an_odd_claim_grants_nothing(name: str, value: Any) -> None:
    assert granted({**GOOD, name: value}) == frozenset()


@pytest.mark.parametrize("value", [*ODD, "root", "a b", "../ann", "ann\n"], ids=repr)
def test_a_payee_that_is_not_an_id_binds_nobody_and_opens_nothing(value: Any) -> None:
    if value not in ("Finance", "finance", "root", "anonymous", "machine"):
        assert granted({**GOOD, "payee": value}) == frozenset()


@pytest.mark.parametrize(
    "name",
    [
        "scopes",
        "scp",
        "Scope",
        "SCOPE",
        "scop",
        "scpoe",
        "scope ",
        "_scope",
        "payees",
        "Payee",
        "payee_id",
        "payeeId",
        "paye",
    ],
)
def test_a_claim_under_nearly_the_right_name_grants_nothing(name: str) -> None:
    assert granted({**GOOD, name: "counts:read"}) == frozenset()


@pytest.mark.parametrize(
    "name",
    [
        "azp",
        "iat",
        "jti",
        "name",
        "email",
        "groups",
        "roles",
        "sid",
        "auth_time",
        "nonce",
        "profile",
        "picture",
        "phone",
    ],
)
def test_claims_of_other_meaning_change_nothing(name: str) -> None:
    assert granted({**GOOD, name: "x"}) == GRANTS[Role.FINANCE]


@pytest.mark.parametrize(
    "header",
    [
        {"typ": "logout+jwt"}, {"typ": "secevent+jwt"}, {"typ": 1}, {"typ": ["JWT"]}, {"typ": ""}, {"crit": ["x"]},
        {"crit": []}, {"crit": ["b64"], "b64": False}, {"kid": 1}, {"kid": ["k"]}, {"kid": ""}, {"kid": "other"},
        {"alg": "none"}, {"alg": "eddsa"}, {"alg": "HS256"}, {"alg": ["EdDSA"]}, {"alg": None}, {"alg": "RS256"},
    ],
    ids=repr,
)  # fmt: skip
def test_an_odd_header_is_refused(header: dict[str, Any]) -> None:
    assert refusal({**HEADER, **header}, GOOD) == "token_invalid"


@pytest.mark.parametrize(
    "value", [*ODD, "Viewledger", "viewledger ", ["other"], ["Viewledger"], [1], {"viewledger": 1}], ids=repr
)
@pytest.mark.parametrize("name", ["aud", "exp", "iss", "sub", "nbf", "iat"])
def test_an_odd_registered_claim_is_refused_and_never_an_error(name: str, value: Any) -> None:
    past = name in ("nbf", "iat") and isinstance(value, int) and value < time.time()
    is_subject = name == "sub" and isinstance(value, str) and is_name(value, most=255)
    ends_some_day = name == "exp" and value == 10**400
    if not past and not is_subject and not ends_some_day:
        assert refusal(HEADER, {**GOOD, name: value}) in REFUSED


@pytest.mark.parametrize(
    "claims",
    [
        b"",
        b"null",
        b"[]",
        b"1",
        b'"x"',
        b"\xff",
        b"[" * 3_000,
        b'{"exp":' + b"9" * 4_990 + b"}",
        b'{"iss":"https://id.example"',
    ],
)
def test_claims_that_are_not_an_object_are_refused(claims: bytes) -> None:
    assert refusal(HEADER, claims) == "token_invalid"
    assert refusal(HEADER, claims + b" ") == "token_invalid"
