"""Convert the verified claims of a token to a caller. Pure. A claim that differs from the description grants nothing.

A claim under nearly the right name is refused rather than ignored: without the claim `payee` a token of finance
sees every payee, and without the claim `scope` it may do all that its role may.
"""

import re
from collections.abc import Mapping
from difflib import SequenceMatcher

from ingestion.contract.decoding import is_video_id
from ingestion.contract.printable import is_name
from serving_layer.access.access import GRANTS, Caller, Role, Scope, unauthorized

SUBJECT_LENGTH_MAX = 255
"""OpenID Connect Core 1.0, section 2."""
OPENID_WORDS = frozenset({"openid", "profile", "email", "address", "phone", "offline_access"})
"""Words of the claim `scope` that concern the identity provider and not us."""
ALIKE = 0.8
"""A ratio of 1; `scopes`, `Scope`, `scpoe` and `payee_id` are similar enough to be typing errors."""
NAME_LENGTH_MAX = 100
_NOT_LETTERS = re.compile(r"[^a-z]+")


def caller_of_claims(
    claims: Mapping[str, object], *, role_claim: str = "role", payee_claim: str = "payee", scope_claim: str = "scope"
) -> Caller:
    """Return the caller that verified claims describe.

    `role` is one of GRANTS. `payee`, which a creator must have, binds to a payee. `scope` narrows the role to the
    scopes that it names; an unknown word grants nothing, and words of OpenID Connect alone narrow nothing.

    Raises:
        ProblemError: token_invalid; names the claim.
    """
    _refuse_misspelt(claims, payee_claim, scope_claim)
    role = claims.get(role_claim)
    if not isinstance(role, str) or role not in set(GRANTS):
        raise unauthorized("token_invalid", f"the claim {role_claim} must be one of {', '.join(sorted(GRANTS))}")
    payee = claims.get(payee_claim)
    if payee_claim in claims and not (isinstance(payee, str) and is_video_id(payee)):
        raise unauthorized("token_invalid", f"the claim {payee_claim} must be the id of a payee, or be absent")
    if role == Role.CREATOR and payee is None:
        raise unauthorized("token_invalid", f"a creator's token must name the payee in the claim {payee_claim}")
    subject = claims.get("sub")
    if not isinstance(subject, str) or not is_name(subject, most=SUBJECT_LENGTH_MAX):
        raise unauthorized("token_invalid", f"the claim sub must be a name of 1 to {SUBJECT_LENGTH_MAX} characters")
    return Caller(
        subject=f"{claims['iss']} {subject}",
        role=Role(role),
        scopes=_scopes(GRANTS[Role(role)], claims, scope_claim),
        payee_id=payee if isinstance(payee, str) else None,
    )


def _scopes(granted: frozenset[Scope], claims: Mapping[str, object], scope_claim: str) -> frozenset[Scope]:
    if scope_claim not in claims:
        return granted
    narrowed = claims[scope_claim]
    if not isinstance(narrowed, str):
        raise unauthorized("token_invalid", f"the claim {scope_claim} must be one text of words with spaces in between")
    words = set(narrowed.split(" "))
    if words <= OPENID_WORDS:
        return granted
    return frozenset(scope for scope in granted if scope.value in words)


def _refuse_misspelt(claims: Mapping[str, object], payee_claim: str, scope_claim: str) -> None:
    for right, spellings in ((payee_claim, ("payee", "payeeid")), (scope_claim, ("scope", "scp"))):
        for name in claims:
            letters = _NOT_LETTERS.sub("", name.casefold()[:NAME_LENGTH_MAX])
            if name not in (payee_claim, scope_claim) and any(_are_alike(letters, each) for each in spellings):
                raise unauthorized("token_invalid", f"the token has a claim {name[:40]!r}; ours is called {right}")


def _are_alike(one: str, other: str) -> bool:
    return abs(len(one) - len(other)) <= 1 and SequenceMatcher(None, one, other).ratio() >= ALIKE
