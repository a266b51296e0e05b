"""Read from the books the versions of a period, whether it was billed completely, and what would be paid twice."""

from datetime import date
from typing import TYPE_CHECKING

from billing.books.book_ports import RestsOn
from billing.books.postgres_statement_rows import STATE_OF_S
from billing.books.runs import BillingRun
from billing.errors import PostingConflictError
from billing.rating.preconditions import overlap_sentence
from ingestion.contract.periods import Period

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as Cursor

_OVERLAPPING = """
    SELECT DISTINCT period_start_on, period_end_on FROM billing.runs
    WHERE period_start_on < %(end)s AND %(start)s < period_end_on
      AND (period_start_on, period_end_on) <> (%(start)s, %(end)s)"""
_RESTS_ON = """
    SELECT r.batch_version, r.catalogue_version, r.contract_version, r.currency, v.day_rules
    FROM billing.runs r JOIN published.versions v ON v.version = r.batch_version
    WHERE r.period_start_on = %s AND r.period_end_on = %s AND EXISTS (
        SELECT 1 FROM billing.statements s JOIN billing.transactions t USING (statement_id)
        WHERE s.run_id = r.run_id AND t.kind IN ('statement', 'suspense')
          AND NOT EXISTS (SELECT 1 FROM billing.transactions u WHERE u.reverses = t.transaction_id))
    ORDER BY r.started_at DESC LIMIT 1"""
_BEYOND_WHOLE = """
    SELECT video_id, from_on, to_on, share_ppm FROM billing.shares_beyond_whole ORDER BY video_id, from_on"""
_UNFINISHED = f"""
    SELECT bool_or(state = 'calculated') OR NOT coalesce(bool_or(state IN ('finalised', 'paid')), false)
    FROM (SELECT {STATE_OF_S} AS state FROM billing.statements s
          WHERE period_start_on = %s AND period_end_on = %s) AS standing"""


def refuse_run(cursor: "Cursor", run: BillingRun) -> None:
    """Refuse a run for days, or by terms, that differ from those of another run.

    Raises:
        PostingConflictError: the sentence says how they differ.
    """
    refuse_overlapping(cursor, run)
    known = rests_on(cursor, run.period)
    if run.kind == "bill" and known is not None and (sentence := other_terms_sentence(run, known)):
        raise PostingConflictError([sentence])


def refuse_overlapping(cursor: "Cursor", run: BillingRun) -> None:
    """Refuse a run whose period shares days with another billed period."""
    cursor.execute(_OVERLAPPING, {"start": run.period.start_on, "end": run.period.end_on})
    if others := sorted(f"{start_on}/{end_on}" for start_on, end_on in cursor):
        raise PostingConflictError([overlap_sentence(str(run.period), other) for other in others])


def rests_on(cursor: "Cursor", period: Period) -> RestsOn | None:
    """Return the versions of the newest run that has a statement in the ledger; None before."""
    cursor.execute(_RESTS_ON, (period.start_on, period.end_on))
    row = cursor.fetchone()
    if row is None:
        return None
    batch_version, catalogue_version, contract_version, currency, day_rules = row
    policies = {date.fromisoformat(day): int(rules["policy_version"]) for day, rules in day_rules.items()}
    return RestsOn(batch_version, catalogue_version, contract_version, currency, policies)


def is_unfinished(cursor: "Cursor", period: Period) -> bool:
    """Return whether a self-approving statement was not posted, or none was posted at all."""
    cursor.execute(_UNFINISHED, (period.start_on, period.end_on))
    return bool((cursor.fetchone() or (False,))[0])


def beyond_whole(cursor: "Cursor") -> list[str]:
    """Return a sentence for every video that is paid for more than once."""
    cursor.execute(_BEYOND_WHOLE)
    return [beyond_whole_sentence(*row) for row in cursor]


def other_terms_sentence(run: BillingRun, known: RestsOn) -> str:
    """Return why a run cannot bill a period that was billed by other terms; None if they are the same."""
    if (run.catalogue_version, run.contract_version) == (known.catalogue_version, known.contract_version):
        return ""
    return (
        f"period {run.period} was billed by catalogue version {known.catalogue_version} and contract version "
        f"{known.contract_version} meanwhile, and this run goes by {run.catalogue_version} and {run.contract_version}; "
        "run the command again"
    )


def beyond_whole_sentence(video_id: str, from_on: date, to_on: date, share_ppm: int) -> str:
    """Return what is wrong with a video whose shares in force add up to more than the whole."""
    return (
        f"video {video_id}, {from_on}/{to_on}: the statements in the ledger pay {share_ppm} parts per million of each "
        "view, and 1000000 are there; restate the period, or look who wrote into the books"
    )
