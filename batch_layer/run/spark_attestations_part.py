"""A part of a run: events of before for which no key vouches any more are judged again."""

from collections.abc import Mapping
from datetime import date

from batch_layer.judging.spark_cap import CapRules
from batch_layer.judging.spark_judging import Stored
from batch_layer.judging.spark_revoked_keys import judged_again, now_unattested
from batch_layer.judging.spark_traffic import TrafficOfDays, ends_of
from batch_layer.lake.spark_kept import kept
from batch_layer.lake.tables import EVENTS, RAW_EVENTS, TRAFFIC_OUTCOMES, VIEWERS
from batch_layer.run.ports import ArchivedPiece, JudgedPiece
from batch_layer.run.spark_branch import BranchTables
from batch_layer.run.spark_traffic_part import piece_of_stored
from ingestion.contract.attesting_keys import AttestationCheck, AttestingKeys
from ingestion.contract.offsets import OffsetVector
from ingestion.contract.policy import CountingPolicy


def unattested_part(
    on: BranchTables, piece: ArchivedPiece, check: AttestationCheck, policies: Mapping[date, CountingPolicy]
) -> JudgedPiece:
    """Judge what the keys that are newly revoked from an instant had attested since; see the port `Warehouse`."""
    branch = piece.branch
    base = branch.base.attesting_keys if branch.base else None
    known = frozenset(base.keys if base else ())
    since = _first_place(
        AttestingKeys(tuple(each for each in branch.attesting_keys.keys if each not in known)), piece.end
    )
    unattested = now_unattested(on.read(EVENTS), on.read(RAW_EVENTS), since, check)
    if not unattested.count:
        return piece_of_stored(on, piece, {EVENTS: on.unchanged(EVENTS)}, {})
    stored = Stored(on.read(EVENTS), on.read(VIEWERS), frozenset(branch.rules))
    rules = CapRules(policies, TrafficOfDays(on.read(TRAFFIC_OUTCOMES), ends_of(branch.rules)))
    added, removed = judged_again(stored, unattested, rules)
    return piece_of_stored(on, piece, {EVENTS: on.replace(EVENTS, removed, kept(added))}, {})


def _first_place(new: AttestingKeys, end: OffsetVector) -> OffsetVector:
    """Return the first offset of each partition from which on one of some keys was revoked by an instant."""
    ends = list(end.ends)
    for each in new.keys:
        if each.revoked_from is not None:
            ends = [
                min(offset, each.since[place] if place < len(each.since) else 0) for place, offset in enumerate(ends)
            ]
    return OffsetVector(end.topic, tuple(ends))
