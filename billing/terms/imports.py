"""What an import is asked to do and what came of it. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from billing.errors import FileRefusedError
from billing.terms.contract_document import document_of
from billing.terms.contracts import Contracts

IN_FORCE, PROPOSED = "in_force", "proposed"
"""What an import is afterwards: counted and paid by, or waiting for a second person."""
REMOVABLE = ("payees", "videos", "contracts")


class Changes(NamedTuple):
    """How many of a kind are new, another than in the version in force, and no longer there."""

    new: int = 0
    changed: int = 0
    gone: int = 0


class Imported(NamedTuple):
    """What became of one import."""

    version: int
    is_new: bool
    """False: the same content is in force, or waits, already."""
    state: str = IN_FORCE
    changes: Mapping[str, Changes] = {}
    """`payees`, `videos`, `owners` (shares of videos) or `contracts` → how they differ from what was in force."""


@dataclass(frozen=True)
class ImportOrder:
    """By whom something is imported, from where, and how much of what is in force may be gone by it."""

    source: str
    actor: str | None = None
    """None: the login of the database."""
    removals_max: int | None = None
    """Payees, videos and contracts that may be gone; None where nobody bounds it."""
    preview: bool = False
    """Say what would become of it and store nothing."""


def check_removals(order: ImportOrder, changes: Iterable[Mapping[str, Changes]]) -> None:
    """Refuse an import by which more is gone than the order allows: a cut file looks just like a removal.

    Raises:
        FileRefusedError: naming what would be gone, and how it is said that this is meant.
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
