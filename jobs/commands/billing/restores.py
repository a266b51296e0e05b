"""`./viewledger billing payouts wait | release`: let payouts wait after the books came back, and go on."""

from collections.abc import Mapping
from datetime import UTC, datetime

from billing.books.postgres_states import PostgresStates
from billing.books.states import Move
from billing.payouts.postgres_bank_differences import bank_differences
from billing.payouts.postgres_payouts import PostgresPayouts
from billing.payouts.postgres_restores import let_payouts_wait, losses_at_the_bank, waiting_restores
from billing.proof.checkpoint import Link
from billing.proof.postgres_journal import PostgresJournal
from jobs.commands.billing.proof import all_problems, first_of, read_kept
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.wiring.billing_settings import APPROVER_ROLE, OWNER_ROLE, billing_connector, show
from jobs.wiring.billing_work import billing_work
from jobs.wiring.checkpoint_places import open_place


@billing_work
def wait(environ: Mapping[str, str], *, since: datetime, actor: str, reason: str, as_json: bool) -> ExitCode:
    """Let payouts wait in books that came back from the log of PostgreSQL; `restore` does so by itself."""
    if since > datetime.now(UTC):
        raise CommandError(
            f"--since {since.isoformat()} has not come yet; give the instant of the last transaction in the books",
            ExitCode.BAD_INPUT,
        )
    let_payouts_wait(billing_connector(environ, OWNER_ROLE), since, actor=actor, reason=reason)
    text = f"payouts wait: the books are as of {since:%Y-%m-%d %H:%M:%S} UTC; go on as docs/operate/backup.md says"
    show({"payouts_wait": True, "since": since.isoformat()}, lambda: text, as_json=as_json)
    return ExitCode.OK


@billing_work
def release(
    environ: Mapping[str, str], *, kept: str | None, declare: bool, actor: str, reason: str, as_json: bool
) -> ExitCode:
    """Release the payouts; DIFFERENCE if the books are wrong, REFUSED if something is lost and not declared."""
    connect = billing_connector(environ)
    waiting = waiting_restores(connect)
    if not waiting:
        raise CommandError("no payouts wait for a release: no restore is open", ExitCode.REFUSED)
    links: list[Link] = []
    if kept:
        with open_place(kept) as place:
            links, _ = read_kept(place, kept)
    journal = PostgresJournal(connect)
    chain = journal.chain()
    problems = all_problems(connect, journal, links[: len(chain)], [])
    problems += [*PostgresPayouts(connect).differences(None), *bank_differences(connect)]
    if problems:
        raise CommandError(_listed("payouts still wait: the books do not agree", problems), ExitCode.DIFFERENCE)
    losses = _lost_links(links, len(chain), kept) + losses_at_the_bank(connect, waiting)
    if losses and not declare:
        raise CommandError(
            _listed("payouts still wait: import what is missing, or accept with --declare that it is lost", losses),
            ExitCode.REFUSED,
        )
    states = PostgresStates(billing_connector(environ, APPROVER_ROLE))
    for each in waiting:
        states.move("restore", str(each.restore_id), Move("released", actor, "; ".join([reason, *losses])))
    document = {"released": [each.backup_id for each in waiting], "declared": losses}
    show(document, lambda: f"payouts go on; declared as lost: {'; '.join(losses) or 'nothing'}", as_json=as_json)
    return ExitCode.OK


def _lost_links(links: list[Link], chain_length: int, kept: str | None) -> list[str]:
    if kept is None:
        return ["no checkpoints kept elsewhere were compared: give --kept PLACE"]
    return [
        f"link {each.sequence} of the checkpoints was kept outside and is later than the backup"
        for each in links[chain_length:]
    ]


def _listed(head: str, sentences: list[str]) -> str:
    return "\n".join([f"{head}:", *(f"  {each}" for each in first_of(sentences))])
