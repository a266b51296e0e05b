"""Callers and their rights: roles and scopes. Pure. Anything that no scope grants is refused.

A caller bound to a payee sees only that payee's channel, videos and statements; for others the answer is "nothing here"
(404), so that it does not reveal what exists.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from serving_layer.problems.problems import ProblemError, refused


class Scope(StrEnum):
    """The rights of a credential."""

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
    ACCOUNTS = "accounts:write"
    """Ask for another bank account."""
    CATALOGUE = "catalogue:write"
    """Import a version of the catalogue."""
    PLAYS = "plays:write"
    """Have plays signed, as the platform that serves the videos."""
    APPROVALS = "approvals:write"
    """Approve, hold or release a billing run."""
    TRAFFIC = "traffic:write"
    """See the evidence on groups of traffic under review, and decide on them."""
    OPERATIONS = "operations:read"
    """Runs, gates, versions, dead letters, health."""
    OPERATE = "operations:write"
    """Start an action that changes the state of the pipeline, such as a replay of dead letters."""


class Role(StrEnum):
    """The kind of caller that a credential belongs to."""

    ANONYMOUS = "anonymous"
    CREATOR = "creator"
    FINANCE = "finance"
    AUDITOR = "auditor"
    OPERATOR = "operator"
    REVIEWER = "reviewer"
    MACHINE = "machine"
    """An API key: it has the scopes it was created with."""


_READ = frozenset({Scope.COUNTS, Scope.BILLABLE, Scope.STATEMENTS, Scope.EVENTS})
GRANTS: Mapping[Role, frozenset[Scope]] = {
    Role.CREATOR: _READ | {Scope.APPEALS, Scope.ACCOUNTS},
    Role.FINANCE: _READ | {Scope.APPROVALS, Scope.CATALOGUE},
    Role.AUDITOR: _READ | {Scope.OPERATIONS},
    Role.OPERATOR: frozenset({Scope.COUNTS, Scope.OPERATIONS, Scope.OPERATE}),
    Role.REVIEWER: frozenset({Scope.COUNTS, Scope.TRAFFIC}),
}
"""The rights of a person's role. Creators are bound to their payee; the others see every payee."""


@dataclass(frozen=True)
class Caller:
    """The sender of a request."""

    subject: str
    """For logs and limits: `anonymous`, `key:<key id>`, or `<issuer> <sub>`; never a secret."""
    role: Role
    scopes: frozenset[Scope]
    payee_id: str | None = None
    """The payee that it is bound to; None: it sees every payee, within its scopes."""
    expires_at: datetime | None = None

    @property
    def name(self) -> str:
        """Return the subject without its issuer, for the person themselves: two issuers may have the same name."""
        return self.subject.partition(" ")[2] or self.subject

    @property
    def is_anonymous(self) -> bool:
        """Return whether no credential was sent."""
        return self.role is Role.ANONYMOUS

    def may(self, scope: Scope) -> bool:
        """Return whether the credential has a scope."""
        return scope in self.scopes

    def sees_payee(self, payee_id: str) -> bool:
        """Return whether this payee's data may be shown, given the scope for it."""
        return not self.is_anonymous and self.payee_id in (None, payee_id)

    def sees_any_payee(self, payee_ids: Collection[str]) -> bool:
        """Return whether data that these payees share, such as a shared video, may be shown."""
        return not self.is_anonymous and (self.payee_id is None or self.payee_id in payee_ids)


def anonymous(*, reads_counts: bool) -> Caller:
    """Return the caller without a credential; `reads_counts`: view counts are public."""
    return Caller("anonymous", Role.ANONYMOUS, frozenset({Scope.COUNTS}) if reads_counts else frozenset())


def require(caller: Caller, scope: Scope) -> None:
    """Refuse a caller without the scope: 401 without a credential, 403 with one.

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
    """Refuse a caller who does not see the payee, with the same words as for a payee that does not exist.

    Raises:
        ProblemError: not_found.
    """
    if not caller.sees_payee(payee_id):
        raise nothing_here()


def nothing_here() -> ProblemError:
    """Return the answer for missing things and for other payees' things, which look the same."""
    return refused("not_found", "there is nothing at this path, or it is not yours")


def unauthorized(code: str, detail: str) -> ProblemError:
    """Return the answer to an invalid credential."""
    return refused(code, detail, {"WWW-Authenticate": 'Bearer realm="viewledger", error="invalid_token"'})
