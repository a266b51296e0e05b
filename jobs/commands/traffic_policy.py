"""`./viewledger traffic policy …`: the versions of the policy of traffic, and the proposal of the next one."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path

from billing.terms.policies import StoredPolicy
from billing.terms.postgres_policies import PostgresPolicies
from ingestion.contract.allowed_traffic import allowed_sentences
from ingestion.contract.traffic_policy import TRAFFIC, traffic_document
from jobs.commands.billing.policies import policy_document, show_proposed
from jobs.commands.billing.tables import aligned
from jobs.exit_codes import ExitCode
from jobs.wiring.billing_settings import billing_connector, show
from jobs.wiring.billing_work import billing_work
from jobs.wiring.tried_traffic import proposed_traffic_policy


@billing_work
def show_policies(environ: Mapping[str, str], *, as_json: bool) -> ExitCode:
    """Print every version of the policy of traffic: one column for each, one row for each value."""
    found = [each for each in PostgresPolicies(billing_connector(environ)).all() if each.kind == TRAFFIC]
    show({"policies": [policy_document(each) for each in found]}, lambda: _text(found), as_json=as_json)
    return ExitCode.OK


@billing_work
def propose_policy(environ: Mapping[str, str], *, policy: Path, first_on: date, actor: str, as_json: bool) -> ExitCode:
    """Store the next version of the policy of traffic, which waits for a second person.

    It has the values of the newest one in force, or of the shipped one, where the file names none.
    """
    store = PostgresPolicies(billing_connector(environ))
    document = traffic_document(proposed_traffic_policy(store, policy, first_on))
    version, is_new = store.propose(TRAFFIC, document, first_on, actor=actor)
    show_proposed(TRAFFIC, version, first_on, is_new=is_new, as_json=as_json)
    return ExitCode.OK


def _text(policies: list[StoredPolicy]) -> str:
    if not policies:
        return "no policy of traffic is on record, so no rule of the day judges anything"
    names = sorted({name for each in policies for name in each.document})
    rows = [
        ("first day", *(each.first_on.isoformat() for each in policies)),
        ("state", *(each.state.replace("_", " ") for each in policies)),
        ("by", *(each.actor or "-" for each in policies)),
        *((name, *(_value(each.document.get(name)) for each in policies)) for name in names if name != "allowed"),
    ]
    lists = [
        f"version {each.version} {sentence}"
        for each in policies
        for sentence in allowed_sentences(each.document.get("allowed", ()))
    ]
    return "\n".join([aligned(("", *(f"version {each.version}" for each in policies)), rows), *lists])


def _value(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return "-" if value is None else str(value)
