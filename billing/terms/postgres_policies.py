"""Policies in PostgreSQL: versions with a first day, proposed by one person and put in force by another."""

import json
from collections.abc import Mapping
from datetime import date
from typing import Any

from billing.postgres_session import Connect, one_transaction
from billing.terms.imports import PROPOSED
from billing.terms.policies import StoredPolicy, document_hash
from ingestion.contract.allowed_traffic import AllowedInForce, AllowedTraffic
from ingestion.contract.policy import COUNTING, CountingPolicy, counting_policy
from ingestion.contract.traffic_policy import TRAFFIC, TrafficPolicy, traffic_policy

_POLICIES = """
    SELECT p.kind, p.policy_version, p.first_on, p.document, p.content_hash, s.state, p.imported_at, p.actor
    FROM billing.policies p
    JOIN billing.current_states s ON s.subject_kind = 'policy' AND s.subject_id = p.kind || ':' || p.policy_version
    ORDER BY p.kind, p.policy_version"""
_IN_FORCE = """
    SELECT policy_version, first_on, document FROM billing.policies_in_force WHERE kind = %s ORDER BY policy_version"""
_ALLOWED = """
    SELECT p.policy_version, p.first_on, p.document -> 'allowed', coalesce(p.actor, p.login), t.actor,
           lead(p.first_on) OVER (ORDER BY p.policy_version)
    FROM billing.policies p JOIN billing.transitions t
      ON t.subject_kind = 'policy' AND t.subject_id = p.kind || ':' || p.policy_version AND t.to_state = 'in_force'
    WHERE p.kind = %s ORDER BY p.policy_version"""
_NEXT = """
    INSERT INTO billing.policies (kind, policy_version, first_on, document, content_hash, actor)
    SELECT %(kind)s, coalesce(max(policy_version), 0) + 1, %(first_on)s, %(document)s, %(hash)s, %(actor)s
    FROM billing.policies WHERE kind = %(kind)s RETURNING policy_version"""


class PostgresPolicies:
    """Reads and proposes policies; every method is one database transaction."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect

    def all(self) -> list[StoredPolicy]:
        """Return every version of every policy, in force or not."""
        with one_transaction(self._connect) as cursor:
            cursor.execute(_POLICIES)
            return [StoredPolicy(*row) for row in cursor]

    def counting(self) -> tuple[CountingPolicy, ...]:
        """Return the counting policies in force, those of days to come among them."""
        with one_transaction(self._connect) as cursor:
            cursor.execute(_IN_FORCE, (COUNTING,))
            return tuple(counting_policy(*row) for row in cursor)

    def newest_traffic(self) -> TrafficPolicy | None:
        """Return the newest policy of traffic in force, which may rule only days to come.

        Raises:
            ValueError: a program of another release wrote it.
        """
        with one_transaction(self._connect) as cursor:
            cursor.execute(_IN_FORCE, (TRAFFIC,))
            rows = cursor.fetchall()
        return traffic_policy(*rows[-1]) if rows else None

    def allowed(self) -> list[AllowedInForce]:
        """Return the allow-lists of the policies of traffic in force, the oldest policy first."""
        with one_transaction(self._connect) as cursor:
            cursor.execute(_ALLOWED, (TRAFFIC,))
            rows = cursor.fetchall()
        return [
            AllowedInForce(version, entry, first_on, min(entry.until, next_on or entry.until), proposed_by, approved_by)
            for version, first_on, document, proposed_by, approved_by, next_on in rows
            for entry in map(AllowedTraffic.from_json, document or ())
        ]

    def propose(self, kind: str, document: Mapping[str, Any], first_on: date, *, actor: str) -> tuple[int, bool]:
        """Store the next version of a policy, which waits for a second person; return it and whether it is new.

        Raises:
            DatabaseRefusedError: its first day has begun, or is not after that of the policy before it.
        """
        same = document_hash(document)
        with one_transaction(self._connect) as cursor:
            cursor.execute("SELECT billing.lock_imports()")
            cursor.execute(_POLICIES)
            of_kind = [each for each in (StoredPolicy(*row) for row in cursor) if each.kind == kind]
            newest = of_kind[-1] if of_kind else None
            if newest and (newest.state, newest.content_hash, newest.first_on) == (PROPOSED, same, first_on):
                return newest.version, False
            values = {"kind": kind, "first_on": first_on, "document": json.dumps(document)}
            cursor.execute(_NEXT, values | {"hash": same, "actor": actor})
            (version,) = cursor.fetchone() or (0,)
        return version, True
