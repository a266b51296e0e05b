"""The order for an import and its result. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from billing.terms.contract_document import document_of
from billing.terms.contracts import Contracts
from ingestion.contract.requests import FileRefusedError

IN_FORCE, PROPOSED = "in_force", "proposed"
"""The state after an import: in force, or waiting for a second person."""
REMOVABLE = ("payees", "videos", "contracts")


class Changes(NamedTuple):
    """How many of a kind are new, changed against the version in force, and gone."""

    new: int = 0
    changed: int = 0
    gone: int = 0


class Imported(NamedTuple):
    """The result of one import."""

    version: int
    is_new: bool
    """False: the same content is already in force, or already waits."""
    state: str = IN_FORCE
    changes: Mapping[str, Changes] = {}
    """`payees`, `videos`, `owners` (shares of videos) or `contracts` → their differences from what was in force."""


@dataclass(frozen=True)
class ImportOrder:
    """Who imports, from where, and how much of what is in force the import may remove."""

    source: str
    actor: str | None = None
    """None: the login of the database."""
    removals_max: int | None = None
    """The most payees, videos and contracts that may be removed; None without a bound."""
    preview: bool = False
    """Return what the import would do, and store nothing."""


def check_removals(order: ImportOrder, changes: Iterable[Mapping[str, Changes]]) -> None:
    """Refuse an import that removes more than the order allows: a truncated file looks just like a removal.

    Raises:
        FileRefusedError: names what would be removed, and how to allow it.
    """
    gone = {what: each.gone for found in changes for what, each in found.items() if what in REMOVABLE and each.gone}
    total = sum(gone.values())
    if order.removals_max is not None and total > order.removals_max:
        named = " and ".join(f"{count} {what if count > 1 else what.removesuffix('s')}" for what, count in gone.items())
        raise FileRefusedError(
            [
                f"{named} of what is in force would be gone, and {order.removals_max or 'none'} may be; "
                f"if it is meant, allow as many (`--allow-removals {total}`, by the API `?allow_removals={total}`)"
            ]
        )


def contract_changes(before: Contracts | None, after: Contracts) -> Changes:
    """Return how the contracts differ from those in force, by their names."""
    old, new = ({} if each is None else _by_name(each) for each in (before, after))
    currency_differs = before is not None and before.currency != after.currency
    both = old.keys() & new.keys()
    return Changes(
        new=len(new.keys() - old.keys()),
        changed=sum(currency_differs or old[name] != new[name] for name in both),
        gone=len(old.keys() - new.keys()),
    )


def _by_name(contracts: Contracts) -> dict[str, object]:
    return {each["name"]: each for each in document_of(contracts)["contracts"]}
