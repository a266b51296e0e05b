"""The owners of videos, and the contracts, for those who show counts: queries of the tables of terms."""

from collections.abc import Callable, Collection, Sequence
from datetime import date
from typing import Any

from billing.terms.contract_document import contracts_from
from billing.terms.contracts import Contracts

Query = Callable[[str, Sequence[Any]], list[tuple[Any, ...]]]
"""Runs one query with its arguments and returns all rows."""

# The catalogue to query and the day (UTC) of the ownership: now, or when a version was published.
_NOW = "SELECT max(catalogue_version), (now() AT TIME ZONE 'UTC')::date FROM billing.catalogues_in_force"
_AT_VERSION = """
SELECT max(c.catalogue_version), (v.published_at AT TIME ZONE 'UTC')::date
FROM published.versions v JOIN billing.catalogues_in_force c ON c.in_force_at <= v.published_at
WHERE v.version = %s GROUP BY v.published_at
"""
_HAS_PAYEE = "SELECT EXISTS (SELECT 1 FROM billing.payees WHERE catalogue_version = %s AND payee_id = %s)"
_SHARES = """
SELECT video_id, share_ppm FROM billing.owners
WHERE catalogue_version = %s AND payee_id = %s AND from_on <= %s AND %s < to_on ORDER BY video_id
"""
_PAYEES = f"""
WITH asked (catalogue_version, day) AS ({_NOW})
SELECT video_id, payee_id FROM asked JOIN billing.owners USING (catalogue_version)
WHERE video_id = ANY(%s) AND from_on <= day AND day < to_on
"""
_TITLES = f"""
WITH asked (catalogue_version, day) AS ({_NOW})
SELECT video_id, title FROM asked JOIN billing.videos USING (catalogue_version)
WHERE video_id = ANY(%s) AND title IS NOT NULL
"""


_CONTRACTS = "SELECT max(contract_version) FROM billing.contracts_in_force"
_DOCUMENT = "SELECT document FROM billing.rate_cards WHERE contract_version = %s"


class ContractQueries:
    """Reads the contracts in force, each version once: it never changes."""

    def __init__(self, query: Query) -> None:
        self._query = query
        self._known: tuple[int, Contracts] | None = None

    def newest(self) -> Contracts | None:
        """Return the contracts in force; None before the first import."""
        ((version,),) = self._query(_CONTRACTS, ())
        if version is None:
            return None
        known = self._known
        if known is None or known[0] != version:
            ((document,),) = self._query(_DOCUMENT, (version,))
            known = self._known = (version, contracts_from(document))
        return known[1]


class ChannelQueries:
    """Answers from the newest catalogue, or from the one that was in force when a version was published."""

    def __init__(self, query: Query) -> None:
        self._query = query

    def video_ids(self, payee_id: str, published_by: int | None) -> list[str] | None:
        """Return the videos of which a payee owns a share, in order; None if the payee is not in the catalogue."""
        rows = self._query(_NOW, ()) if published_by is None else self._query(_AT_VERSION, (published_by,))
        catalogue, day = rows[0] if rows else (None, None)
        if not self._has_payee(catalogue, payee_id):
            return None
        return list(self._owned(catalogue, payee_id, day))

    def shares(self, payee_id: str, day: date) -> dict[str, int] | None:
        """Return the payee's share of each video on a day, in parts per million; None if they are not in it."""
        ((catalogue, _),) = self._query(_NOW, ())
        if not self._has_payee(catalogue, payee_id):
            return None
        return self._owned(catalogue, payee_id, day)

    def _owned(self, catalogue: int, payee_id: str, day: date) -> dict[str, int]:
        return dict(self._query(_SHARES, (catalogue, payee_id, day, day)))

    def _has_payee(self, catalogue: int | None, payee_id: str) -> bool:
        return catalogue is not None and bool(self._query(_HAS_PAYEE, (catalogue, payee_id))[0][0])

    def payees(self, video_ids: Collection[str]) -> dict[str, frozenset[str]]:
        """Return the present owners of each video; a video without an owner is absent."""
        found: dict[str, set[str]] = {}
        for video_id, payee_id in self._query(_PAYEES, (list(video_ids),)):
            found.setdefault(video_id, set()).add(payee_id)
        return {video_id: frozenset(payees) for video_id, payees in found.items()}

    def titles(self, video_ids: Collection[str]) -> dict[str, str]:
        """Return the titles of videos in the newest catalogue; a video without one is absent."""
        return dict(self._query(_TITLES, (list(video_ids),)))
