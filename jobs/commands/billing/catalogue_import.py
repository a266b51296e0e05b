"""`./viewledger billing catalogue import`: import payees, videos and rates from files, checked as a whole."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from billing.terms.catalogue import Catalogue
from billing.terms.contracts import Contracts
from billing.terms.file_catalogue import read_catalogue
from billing.terms.file_contracts import read_contracts
from billing.terms.imports import PROPOSED, Imported, ImportOrder
from billing.terms.postgres_catalogue import PostgresCatalogueStore
from billing.terms.postgres_policies import PostgresPolicies
from ingestion.contract.requests import FileRefusedError
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.wiring.billing_settings import billing_connector, show
from jobs.wiring.billing_work import billing_work
from jobs.wiring.pseudonyms import pseudonymiser


@billing_work
def import_files(
    environ: Mapping[str, str],
    *,
    payees: Path | None,
    videos: Path | None,
    owners: Path | None,
    rates: Path | None,
    allow_removals: int,
    preview: bool,
    actor: str,
    as_json: bool,
) -> ExitCode:
    """Read all files, then store the new parts."""
    if (payees is None) != (videos is None):
        raise CommandError("--payees and --videos belong together; give both", ExitCode.BAD_INPUT)
    if owners is not None and videos is None:
        raise CommandError("--owners belongs to --payees and --videos; give all three", ExitCode.BAD_INPUT)
    if payees is None and rates is None:
        raise CommandError("nothing to import; give --payees and --videos, --rates, or all three", ExitCode.BAD_INPUT)
    store = PostgresCatalogueStore(billing_connector(environ))
    files = (payees, videos, owners)
    catalogue, contracts = _read_files(environ, store, files=files, rates=rates)
    order = ImportOrder(
        source=", ".join(file.name for file in files if file is not None) or (rates.name if rates else ""),
        actor=actor,
        removals_max=allow_removals,
        preview=preview,
    )
    found = store.import_terms(order, catalogue, contracts)
    counts: dict[str, dict[str, int]] = {}
    if catalogue is not None:
        counts["catalogue"] = {"payee_count": len(catalogue.payees), "video_count": len(catalogue.videos)}
        if unowned := len(catalogue.videos) - len({share.video_id for share in catalogue.owners}):
            counts["catalogue"]["unowned_video_count"] = unowned
    if contracts is not None:
        counts["rates"] = {"contract_count": len(contracts.contracts)}
    document = {what: _document(each) | counts[what] for what, each in found.items()}
    show(
        document | ({"preview": True} if order.preview else {}),
        lambda: "\n".join(_import_line(*item, preview=order.preview) for item in document.items()),
        as_json=as_json,
    )
    return ExitCode.OK


def _read_files(
    environ: Mapping[str, str],
    store: PostgresCatalogueStore,
    *,
    files: tuple[Path | None, Path | None, Path | None],
    rates: Path | None,
) -> tuple[Catalogue | None, Contracts | None]:
    """Read all files before anything is stored, so that the errors of all are reported together."""
    problems: list[str] = []
    catalogue = contracts = None
    payees, videos, owners = files
    if payees is not None and videos is not None:
        try:
            catalogue = read_catalogue(payees, videos, owners, pseudonymiser(environ))
        except FileRefusedError as error:
            problems += error.problems
    if rates is not None:
        try:
            # Payees that could not be read are named already; those of the contracts are not named for it again.
            policies = PostgresPolicies(billing_connector(environ)).counting()
            contracts = read_contracts(rates, policies, payees=None if problems else _payees(catalogue, store))
        except FileRefusedError as error:
            problems += error.problems
    if problems:
        raise FileRefusedError(problems)
    return catalogue, contracts


def _payees(catalogue: Catalogue | None, store: PostgresCatalogueStore) -> Collection[str]:
    """Return the payees that contracts can name: of the catalogue in the same import, or else in force."""
    return store.newest_payees() if catalogue is None else catalogue.payee_by_id.keys()


def _document(imported: Imported) -> dict[str, Any]:
    changes = {what: each._asdict() for what, each in imported.changes.items()}
    return {"version": imported.version, "new": imported.is_new, "state": imported.state, "changes": changes}


def _import_line(what: str, result: Mapping[str, Any], *, preview: bool) -> str:
    names = {name: name.removesuffix("_count").replace("_", " ") for name in result if name.endswith("_count")}
    counts = ", ".join(f"{result[name]} {noun}s" for name, noun in names.items())
    done = "no change" if not result["new"] else "would be imported" if preview else "imported"
    lines = [f"{what} version {result['version']}: {counts}, {done}"]
    for part, changes in result["changes"].items():
        lines.append(f"  {part}: {changes['new']} new, {changes['changed']} changed, {changes['gone']} gone")
    if result["state"] == PROPOSED:
        then = "would wait" if preview and result["new"] else "waits"
        lines.append(
            f"  it {then} for a second person: `billing proposals approve --proposal {what}:{result['version']}`"
        )
    return "\n".join(lines)
