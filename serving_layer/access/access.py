"""Who asks, and what they may see: roles, scopes, callers. Pure. What no scope grants is refused.

A caller bound to a payee sees that payee's channel, videos and statements and nobody else's; for others there is
"nothing here" (404), so that nobody learns what exists.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from serving_layer.problems.problems import ProblemError, refused


class Scope(StrEnum):
    """What a credential may do."""

    COUNTS = "counts:read"
    """View counts of videos."""
    BILLABLE = "billable:read"
    """Billable views; counts of channels."""
    STATEMENTS = "statements:read"
    """Statements and their lines."""
    EVENTS = "events:read"
    """The events behind a statement's line."""
    APPEALS = "appeals:write"
    """Object to a statement."""
    CATALOGUE = "catalogue:write"
    """Import a version of the catalogue."""
    APPROVALS = "approvals:write"
    """Approve, hold or release a billing run."""
    OPERATIONS = "operations:read"
    """Runs, gates, versions, dead letters, health."""
    OPERATE = "operations:write"
    """Start what changes the state of the pipeline, such as a replay of dead letters."""


class Role(StrEnum):
    """What kind of caller a credential belongs to."""

    ANONYMOUS = "anonymous"
    CREATOR = "creator"
    FINANCE = "finance"
    AUDITOR = "auditor"
    OPERATOR = "operator"
    MACHINE = "machine"
    """An API key: it has the scopes it was made with."""


_READ = frozenset({Scope.COUNTS, Scope.BILLABLE, Scope.STATEMENTS, Scope.EVENTS})
GRANTS: Mapping[Role, frozenset[Scope]] = {
    Role.CREATOR: _READ | {Scope.APPEALS},
    Role.FINANCE: _READ | {Scope.APPROVALS, Scope.CATALOGUE},
    Role.AUDITOR: _READ | {Scope.OPERATIONS},
    Role.OPERATOR: frozenset({Scope.COUNTS, Scope.OPERATIONS, Scope.OPERATE}),
}
"""What a person's role grants. Creators are bound to their payee; the others see every payee."""


@dataclass(frozen=True)
class Caller:
    """Who sent a request."""

    subject: str
    """For logs and limits: `anonymous`, `key:<key id>`, or `<issuer> <sub>`; never a secret."""
    role: Role
    scopes: frozenset[Scope]
    payee_id: str | None = None
    """Bound to this payee; None is bound to none: it sees every payee, as far as its scopes go."""
    expires_at: datetime | None = None

    @property
    def is_anonymous(self) -> bool:
        """Whether no credential was sent."""
        return self.role is Role.ANONYMOUS

    def may(self, scope: Scope) -> bool:
        """Whether the credential has a scope."""
        return scope in self.scopes

    def sees_payee(self, payee_id: str) -> bool:
        """Whether what belongs to this payee may be shown, given the scope for it."""
        return not self.is_anonymous and self.payee_id in (None, payee_id)

    def sees_any_payee(self, payee_ids: Collection[str]) -> bool:
        """Whether what belongs to these payees together, such as a shared video, may be shown."""
        return not self.is_anonymous and (self.payee_id is None or self.payee_id in payee_ids)


def anonymous(*, reads_counts: bool) -> Caller:
    """Return the caller without a credential; `reads_counts`: view counts are public."""
    return Caller("anonymous", Role.ANONYMOUS, frozenset({Scope.COUNTS}) if reads_counts else frozenset())


def require(caller: Caller, scope: Scope) -> None:
    """Refuse a caller without the scope: 401 for nobody, 403 for somebody.

    Raises:
        ProblemError: credentials_missing or scope_missing.
    """
    if caller.may(scope):
        return
    if caller.is_anonymous:
        raise refused(
            "credentials_missing",
            f"this needs the scope {scope}: send an API key or a token as `Authorization: Bearer …`",
            {"WWW-Authenticate": f'Bearer realm="viewledger", scope="{scope}"'},
        )
    raise refused(
        "scope_missing",
        f"this needs the scope {scope}; this credential has {', '.join(sorted(caller.scopes)) or 'none'}",
        {"WWW-Authenticate": f'Bearer realm="viewledger", error="insufficient_scope", scope="{scope}"'},
    )


def require_payee(caller: Caller, payee_id: str) -> None:
    """Refuse a caller who does not see the payee, in the words used for a payee that does not exist.

    Raises:
        ProblemError: not_found.
    """
    if not caller.sees_payee(payee_id):
        raise nothing_here()


def nothing_here() -> ProblemError:
    """Return the answer for what does not exist and for what is not the caller's, which look the same."""
    return refused("not_found", "there is nothing at this path, or it is not yours")


def unauthorized(code: str, detail: str) -> ProblemError:
    """Return the answer to a credential that does not hold."""
    return refused(code, detail, {"WWW-Authenticate": 'Bearer realm="viewledger", error="invalid_token"'})
