"""`./viewledger billing policies …`: the versions of the counting policy, and the proposal of the next one."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

from billing.terms.file_policies import read_policy
from billing.terms.policies import StoredPolicy
from billing.terms.postgres_policies import PostgresPolicies
from ingestion.contract.policy import COUNTING, document_of
from jobs.commands.billing.tables import aligned
from jobs.exit_codes import ExitCode
from jobs.wiring.billing_settings import billing_connector, show
from jobs.wiring.billing_work import billing_work


@billing_work
def list_policies(environ: Mapping[str, str], *, as_json: bool) -> ExitCode:
    """Print every version of the counting policy."""
    found = [each for each in PostgresPolicies(billing_connector(environ)).all() if each.kind == COUNTING]
    rows = [
        (each.kind, str(each.version), str(each.first_on), each.state.replace("_", " "), each.actor or "-", _text(each))
        for each in found
    ]
    header = ("policy", "version", "first day", "state", "by", "values")
    show(
        {"policies": [policy_document(each) for each in found]}, lambda: aligned(header, rows, left=6), as_json=as_json
    )
    return ExitCode.OK


@billing_work
def propose_policy(environ: Mapping[str, str], *, policy: Path, first_on: date, actor: str, as_json: bool) -> ExitCode:
    """Store the next version of the counting policy, which waits for a second person."""
    document = document_of(read_policy(policy))
    store = PostgresPolicies(billing_connector(environ))
    version, is_new = store.propose(COUNTING, document, first_on, actor=actor)
    show_proposed(COUNTING, version, first_on, is_new=is_new, as_json=as_json)
    return ExitCode.OK


def show_proposed(kind: str, version: int, first_on: date, *, is_new: bool, as_json: bool) -> None:
    """Print what was proposed, and what it waits for."""
    proposal = f"policy:{kind}:{version}"
    lines = [
        f"{kind} policy {version} {'is proposed' if is_new else 'is proposed already'} from {first_on} on",
        f"  it waits for a signed checkpoint and a second person: `billing proof checkpoint`, then `billing proposals "
        f"approve --proposal {proposal}`, before that day",
    ]
    shown = {"proposal": proposal, "version": version, "new": is_new, "first_on": first_on.isoformat()}
    show(shown, lambda: "\n".join(lines), as_json=as_json)


def _text(policy: StoredPolicy) -> str:
    return ", ".join(f"{name} {str(value).lower()}" for name, value in sorted(policy.document.items()))


def policy_document(policy: StoredPolicy) -> dict[str, Any]:
    """Return a policy as a JSON object."""
    return vars(policy) | {
        "first_on": policy.first_on.isoformat(),
        "imported_at": policy.imported_at.isoformat(),
    }
