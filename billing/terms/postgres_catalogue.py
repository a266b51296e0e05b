"""Catalogues and contracts in PostgreSQL, one immutable version per import; the highest version in force counts."""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from billing.postgres_answered_requests import answered, remember
from billing.postgres_session import Connect, copy_rows, one_transaction
from billing.terms.catalogue import Catalogue, Payee, Video
from billing.terms.contract_document import content_hash, contracts_from, document_of
from billing.terms.contracts import Contracts
from billing.terms.imports import IN_FORCE, PROPOSED, Changes, Imported, ImportOrder, check_removals, contract_changes
from billing.terms.ownership import OwnerShare
from ingestion.contract.requests import RequestKey

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as Cursor

_CATALOGUES_KNOWN = """
    SELECT catalogue_version, concat_ws(' ', content_hash, titles_hash), 'in_force' FROM billing.catalogue_versions
    WHERE catalogue_version = (SELECT max(catalogue_version) FROM billing.catalogues_in_force)
    UNION ALL SELECT catalogue_version, concat_ws(' ', content_hash, titles_hash), 'proposed'
    FROM billing.catalogue_versions
    WHERE catalogue_version = (SELECT max(catalogue_version) FROM billing.catalogue_versions)
      AND billing.waits('catalogue', catalogue_version::text)"""
_CONTRACTS_KNOWN = """
    SELECT contract_version, content_hash, 'in_force' FROM billing.rate_cards
    WHERE contract_version = (SELECT max(contract_version) FROM billing.contracts_in_force)
    UNION ALL SELECT contract_version, content_hash, 'proposed' FROM billing.rate_cards
    WHERE contract_version = (SELECT max(contract_version) FROM billing.rate_cards)
      AND billing.waits('contract', contract_version::text)"""
_NEXT_CATALOGUE = """
    INSERT INTO billing.catalogue_versions (catalogue_version, content_hash, titles_hash, source, actor)
    SELECT coalesce(max(catalogue_version), 0) + 1, %s, %s, %s, %s FROM billing.catalogue_versions
    RETURNING catalogue_version"""
_NEXT_CONTRACTS = """
    INSERT INTO billing.rate_cards (contract_version, content_hash, document, actor)
    SELECT coalesce(max(contract_version), 0) + 1, %s, %s, %s FROM billing.rate_cards RETURNING contract_version"""
_CHANGES = "SELECT what, added, changed, gone FROM billing.catalogue_changes(%s)"
_CONTRACTS_IN_FORCE = """
    SELECT document FROM billing.rate_cards
    WHERE contract_version = (SELECT max(contract_version) FROM billing.contracts_in_force)"""
_TITLES = """
    SELECT video_id, title FROM billing.videos
    WHERE catalogue_version = %s AND video_id = ANY(%s) AND title IS NOT NULL"""
_LOCK = "SELECT billing.lock_imports()"


_IS_IN_FORCE = """
    SELECT EXISTS (SELECT 1 FROM billing.transitions
                   WHERE subject_kind = %s AND subject_id = %s AND to_state = 'in_force')"""


class PostgresCatalogueStore:
    """Implements `billing.ports.CatalogueStore`; every method is one database transaction."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect

    def import_terms(
        self,
        order: ImportOrder,
        catalogue: Catalogue | None = None,
        contracts: Contracts | None = None,
        *,
        request: RequestKey | None = None,
    ) -> dict[str, Imported]:
        """Store a catalogue, contracts or both, all or nothing; return the result of each.

        The database decides whether it is in force at once or waits for a second person. A repeated `request` gets the
        former answer.

        Raises:
            FileRefusedError: it removes more of what is in force than the order allows.
            KeyReusedError: its key was used for another request.
        """
        with one_transaction(self._connect) as cursor:
            if request is not None and (before := answered(cursor, request)) is not None:
                return _imported_before(before)
            cursor.execute(_LOCK)
            found = {}
            if catalogue is not None:
                found["catalogue"] = _import_catalogue(cursor, catalogue, order)
            if contracts is not None:
                found["rates"] = _import_contracts(cursor, contracts, order)
            check_removals(order, [each.changes for each in found.values()])
            if order.preview:
                cursor.connection.rollback()
            elif request is not None:
                answer = {what: each._asdict() for what, each in found.items()}
                remember(cursor, request, answer)
        return found

    def import_catalogue(self, catalogue: Catalogue, source: str) -> Imported:
        """Store as the next version unless it is already in force or waiting; without a bound on removals."""
        return self.import_terms(ImportOrder(source), catalogue)["catalogue"]

    def import_contracts(self, contracts: Contracts) -> Imported:
        """Store as the next version unless it is already in force or waiting; without a bound on removals."""
        return self.import_terms(ImportOrder("contracts"), None, contracts)["rates"]

    def newest_catalogue(self) -> tuple[int, Catalogue] | None:
        """Return the catalogue in force, None before the first import."""
        with one_transaction(self._connect) as cursor:
            cursor.execute("SELECT max(catalogue_version) FROM billing.catalogues_in_force")
            version = (cursor.fetchone() or (None,))[0]
        # A version never changes once it is there, so it need not be read in the same transaction.
        return (version, self.catalogue(version)) if version is not None else None

    def newest_payees(self) -> frozenset[str]:
        """Return the ids of the payees of the catalogue in force; none before the first import."""
        with one_transaction(self._connect) as cursor:
            cursor.execute(
                "SELECT payee_id FROM billing.payees "
                "WHERE catalogue_version = (SELECT max(catalogue_version) FROM billing.catalogues_in_force)"
            )
            return frozenset(payee_id for (payee_id,) in cursor)

    def catalogue(self, version: int) -> Catalogue:
        """Return a stored version; version 0 is the empty catalogue."""
        with one_transaction(self._connect) as cursor:
            # Sorted here and not by the server: its collation may differ from Python's order.
            cursor.execute(
                "SELECT payee_id, name, user_id, country FROM billing.payees WHERE catalogue_version = %s", (version,)
            )
            payees = tuple(sorted((Payee(*row) for row in cursor), key=lambda payee: payee.payee_id))
            cursor.execute(
                "SELECT video_id, length_seconds, title FROM billing.videos WHERE catalogue_version = %s", (version,)
            )
            videos = tuple(sorted((Video(*row) for row in cursor), key=lambda video: video.video_id))
            cursor.execute(
                "SELECT video_id, from_on, to_on, payee_id, share_ppm FROM billing.owners WHERE catalogue_version = %s",
                (version,),
            )
            owners = tuple(sorted(OwnerShare(*row) for row in cursor))
        return Catalogue(payees, videos, owners)

    def payee_name(self, payee_id: str) -> str | None:
        """Return a payee's name in the newest catalogue that has one, of those that came into force."""
        return self.payee_names([payee_id]).get(payee_id)

    def payee_names(self, payee_ids: Sequence[str]) -> dict[str, str]:
        """Return the names of payees, each from the newest catalogue in force with one; others are absent."""
        with one_transaction(self._connect) as cursor:
            cursor.execute(
                "SELECT DISTINCT ON (payee_id) payee_id, name FROM billing.payees "
                "JOIN billing.catalogues_in_force USING (catalogue_version) WHERE payee_id = ANY(%s) "
                "ORDER BY payee_id, catalogue_version DESC",
                (list(payee_ids),),
            )
            return dict(cursor.fetchall())

    def video_titles(self, version: int, video_ids: Sequence[str]) -> dict[str, str]:
        """Return the titles of videos in a stored version; videos without one are absent."""
        with one_transaction(self._connect) as cursor:
            cursor.execute(_TITLES, (version, list(video_ids)))
            return dict(cursor.fetchall())

    def newest_contracts(self) -> tuple[int, Contracts] | None:
        """Return the contracts in force, None before the first import."""
        with one_transaction(self._connect) as cursor:
            cursor.execute("SELECT max(contract_version) FROM billing.contracts_in_force")
            version = (cursor.fetchone() or (None,))[0]
        return (version, self.contracts(version)) if version is not None else None

    def is_in_force(self, kind: str, version: int) -> bool:
        """Return whether a version is, or was, in force."""
        with one_transaction(self._connect) as cursor:
            cursor.execute(_IS_IN_FORCE, (kind, str(version)))
            return bool((cursor.fetchone() or (False,))[0])

    def contracts(self, version: int) -> Contracts:
        """Return a stored version.

        Raises:
            LookupError: there is no such version.
        """
        with one_transaction(self._connect) as cursor:
            cursor.execute("SELECT document FROM billing.rate_cards WHERE contract_version = %s", (version,))
            row = cursor.fetchone()
        if row is None:
            raise LookupError(f"there is no version {version} of the contracts")
        return contracts_from(row[0])


def _imported_before(answer: Mapping[str, Any]) -> dict[str, Imported]:
    if "version" in answer:  # as stored by releases in which every import was in force at once
        return {"catalogue": Imported(answer["version"], answer["new"])}
    return {
        what: Imported(
            each["version"],
            each["is_new"],
            each["state"],
            {part: Changes(*counts) for part, counts in each["changes"].items()},
        )
        for what, each in answer.items()
    }


def _stored_already(cursor: "Cursor", query: str, hashes: str) -> Imported | None:
    """Return the version with this very content that waits or is in force."""
    cursor.execute(query)
    for version, found, state in cursor.fetchall():
        if found == hashes:
            return Imported(version, False, state)
    return None


def _import_catalogue(cursor: "Cursor", catalogue: Catalogue, order: ImportOrder) -> Imported:
    hashes = (catalogue.content_hash(), catalogue.titles_hash())
    if (known := _stored_already(cursor, _CATALOGUES_KNOWN, " ".join(filter(None, hashes)))) is not None:
        return known
    cursor.execute(_NEXT_CATALOGUE, (*hashes, order.source, order.actor))
    (version,) = cursor.fetchone() or (0,)
    payees = ((version, each.payee_id, each.name, each.user_id, each.country) for each in catalogue.payees)
    copy_rows(cursor, "billing.payees", "catalogue_version, payee_id, name, user_id, country", payees)
    videos = ((version, each.video_id, each.length_seconds, each.title) for each in catalogue.videos)
    copy_rows(cursor, "billing.videos", "catalogue_version, video_id, length_seconds, title", videos)
    columns = "catalogue_version, video_id, from_on, to_on, payee_id, share_ppm"
    copy_rows(cursor, "billing.owners", columns, ((version, *share) for share in catalogue.owners))
    cursor.execute(_CHANGES, (version,))
    changes = {what: Changes(*counts) for what, *counts in cursor.fetchall()}
    cursor.execute("SET CONSTRAINTS billing.catalogue_versions_judged IMMEDIATE")
    cursor.execute("SELECT max(catalogue_version) FROM billing.catalogues_in_force")
    return Imported(version, True, IN_FORCE if cursor.fetchone() == (version,) else PROPOSED, changes)


def _import_contracts(cursor: "Cursor", contracts: Contracts, order: ImportOrder) -> Imported:
    hash_now = content_hash(contracts)
    if (known := _stored_already(cursor, _CONTRACTS_KNOWN, hash_now)) is not None:
        return known
    cursor.execute(_CONTRACTS_IN_FORCE)
    in_force = cursor.fetchone()
    cursor.execute(_NEXT_CONTRACTS, (hash_now, json.dumps(document_of(contracts)), order.actor))
    (version,) = cursor.fetchone() or (0,)
    cursor.execute("SELECT max(contract_version) FROM billing.contracts_in_force")
    state = IN_FORCE if cursor.fetchone() == (version,) else PROPOSED
    before = None if in_force is None or "currency" not in in_force[0] else contracts_from(in_force[0])
    return Imported(version, True, state, {"contracts": contract_changes(before, contracts)})
