"""Describe what proposed terms would change, in sentences. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from billing.terms.catalogue import Catalogue, Payee
from billing.terms.contract_document import document_of
from billing.terms.contracts import Contracts
from billing.terms.imports import IN_FORCE
from billing.terms.ownership import SINCE_EVER, WITHOUT_END, OwnerShare
from billing.terms.policies import StoredPolicy
from ingestion.contract.allowed_traffic import allowed_sentences
from ingestion.contract.printable import counted


def catalogue_differences(before: Catalogue, after: Catalogue) -> Iterator[str]:
    """Yield a sentence for each payee and video that is new, gone, or changed; changes that move money come first."""
    old_owners, new_owners = _owners_by_video(before), _owners_by_video(after)
    for video_id in sorted(old_owners.keys() | new_owners.keys()):
        old, new = old_owners.get(video_id), new_owners.get(video_id)
        if old is None:
            continue
        if new is None:
            yield f"video {video_id} of {_held(old)} is gone"
        elif old != new:
            yield f"video {video_id} was of {_held(old)} and is of {_held(new)}"
    for video_id in sorted(old_owners.keys() & new_owners.keys()):
        lengths = tuple(each.length_by_video.get(video_id) for each in (before, after))
        if lengths[0] != lengths[1]:
            yield f"video {video_id} had the length {_seconds(lengths[0])} and has {_seconds(lengths[1])}"
        titles = tuple(each.title_by_video.get(video_id) for each in (before, after))
        if titles[0] != titles[1]:
            yield f"video {video_id} had the title {titles[0] or 'none'} and has {titles[1] or 'none'}"
    for payee_id in sorted(before.payee_by_id.keys() | after.payee_by_id.keys()):
        yield from _payee_differences(payee_id, before.payee_by_id.get(payee_id), after.payee_by_id.get(payee_id))
    for video_id in sorted(new_owners.keys() - old_owners.keys()):
        yield f"video {video_id} of {_held(new_owners[video_id])} is new"


def contract_differences(before: Contracts | None, after: Contracts) -> Iterator[str]:
    """Yield a sentence for each value that is new, gone, or changed, by its place in the contracts."""
    old, new = ({} if each is None else _flat(each) for each in (before, after))
    for place in sorted(old.keys() | new.keys()):
        if place not in new:
            yield f"{place} was {old[place]} and is gone"
        elif place not in old:
            yield f"{place} is new: {new[place]}"
        elif old[place] != new[place]:
            yield f"{place} was {old[place]} and is {new[place]}"


def policy_differences(policies: Sequence[StoredPolicy], proposed: str) -> Iterator[str]:
    """Yield a sentence for each value in which a proposed policy, `kind:version`, differs from the one before it."""
    after = next(each for each in policies if f"{each.kind}:{each.version}" == proposed)
    in_force = [each for each in policies if each.kind == after.kind and each.state == IN_FORCE]
    before = in_force[-1].document if in_force else {}
    yield f"{after.kind} policy {after.version} would rule from {after.first_on} on"
    were, are = (allowed_sentences(each.get("allowed", ())) for each in (before, after.document))
    for sentence in sorted({*were} ^ {*are}):
        yield f"it {sentence}" if sentence in are else f"the one before {sentence}"
    for name in sorted((before.keys() | after.document.keys()) - {"allowed"}):
        was, now = (str(each.get(name)).lower() for each in (before, after.document))
        if was != now:
            yield f"{name} was {was} and is {now}"


def _payee_differences(payee_id: str, old: Payee | None, new: Payee | None) -> Iterator[str]:
    if new is None or old is None:
        yield f"payee {payee_id} is {'gone' if new is None else 'new'}"
        return
    if old.user_id != new.user_id:
        yield f"payee {payee_id} has another viewer id, so that other views are the payee's own"
    for what, was, now in (("country", old.country, new.country), ("name", old.name, new.name)):
        if was != now:
            yield f"payee {payee_id} had the {what} {was or 'none'} and has {now or 'none'}"


def _owners_by_video(catalogue: Catalogue) -> dict[str, list[OwnerShare]]:
    found: dict[str, list[OwnerShare]] = {}
    for share in catalogue.owners:
        found.setdefault(share.video_id, []).append(share)
    return found


def _held(shares: list[OwnerShare]) -> str:
    return ", ".join(_share(each) for each in shares)


def _share(share: OwnerShare) -> str:
    since = "" if share.from_on == SINCE_EVER else f" from {share.from_on}"
    until = "" if share.to_on == WITHOUT_END else f" to {share.to_on} (not included)"
    part = "" if share.share_ppm == 1_000_000 else f" ({share.share_ppm} parts per million)"
    return f"{share.payee_id}{part}{since}{until}"


def _seconds(length: int | None) -> str:
    return "unknown" if length is None else counted(length, "second")


def _flat(contracts: Contracts) -> dict[str, str]:
    document = document_of(contracts)
    found = {"currency": contracts.currency}
    for contract in document["contracts"]:
        name = f"contract {contract['name']!r}"
        found[f"{name}, payees"] = ", ".join(contract.get("payees", ["everybody else"]))
        for card in contract["cards"]:
            found |= _leaves(f"{name}, from {card['effective_from_on']}", card)
    return found


def _leaves(place: str, value: Any) -> dict[str, str]:
    if isinstance(value, Mapping):
        parts: list[tuple[str, Any]] = [(str(key), each) for key, each in value.items() if key != "effective_from_on"]
    elif isinstance(value, list):
        parts = [(str(number), each) for number, each in enumerate(value, 1)]
    else:
        return {place: str(value)}
    return {name: leaf for key, each in parts for name, leaf in _leaves(f"{place}, {key}", each).items()}
