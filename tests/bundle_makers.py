"""Random periods, billed by the product's own rules in memory and written as bundles."""

import hashlib
import json
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from billing.books.posting import LedgerTransaction
from billing.books.run_posting import finalise_run, post_bills
from billing.books.runs import BillingRun
from billing.books.statements import Statement
from billing.books.states import Move
from billing.proof.checkpoint import Covered, Link, checkpoint_link
from billing.proof.ed25519_keys import SigningKey
from billing.proof.file_bundle import BundledBooks, BundleVersions, write_bundle
from billing.proof.journal import Record, record_of, root_of
from billing.rating.attribution import Attribution
from billing.rating.rated_lines import SettledLine
from billing.rating.rating import rate_period
from billing.terms.catalogue import Catalogue, Payee, Video
from billing.terms.contract_document import content_hash, document_of
from billing.terms.contracts import AdRate, Contract, Contracts, Rate, RateCard, RateForm, Tier
from billing.terms.ownership import SINCE_EVER, WITHOUT_END, OwnerShare, divided
from billing.terms.policies import document_hash
from ingestion.contract.policy import document_of as document_of_policy
from ingestion.contract.settled import PublishedCount, SettledEvent
from ingestion.contract.traffic_policy import SHIPPED, traffic_document
from tests.billing_fakes import OCTOBER, Count, FakeSettledViews, event_id, published, run_of
from tests.books_fakes import FakeBooks
from tests.bundle_payouts import PaidOut, paid_out
from tests.shipped_policies import POLICIES

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
VERSIONS = BundleVersions(3, 1, 1)
SOLD_ON, NEW_CARD_ON = date(2026, 10, 11), date(2026, 10, 17)
NOT_COUNTED = ("duplicate", "rejected:clock_suspect", "late_review", "invalid_traffic:robot")
NOT_BILLABLE = ("not_eligible", "under_review", "traffic_pending")
SEVERAL = 'preroll\nmidroll\r\n\u2028,"preroll"'
"""One type of advertisement, of any form; no card pays it."""


def is_for_payees(record: Record) -> bool:
    """Return whether a payee's bundle has a record: it shows no threshold of traffic."""
    return not (record.kind == "policy" and record.key.startswith("traffic "))


@dataclass(frozen=True)
class Month:
    """A billed October."""

    catalogue: Catalogue
    contracts: Contracts
    counts_in: Sequence[Count]
    records: Sequence[Record]

    def events(self, _period: object) -> list[SettledEvent]:
        found = [event for index, count in enumerate(self.counts_in) for event in _events_of(count, index)]
        return sorted(found, key=lambda each: (each.video_id, each.event_id or "", each.partition, each.offset))

    def counts(self, _period: object) -> list[PublishedCount]:
        views: Counter[tuple[str, date, str, int]] = Counter()
        billable: Counter[tuple[str, date, str, int]] = Counter()
        for each in self.counts_in:
            key = (each.video_id, each.event_day, each.country or "ZZ", each.policy_version)
            views[key] += each.views
            billable[key] += each.billable_views
        return [PublishedCount(*key[:3], views[key], billable[key], key[3]) for key in sorted(views) if views[key]]

    def write(self, folder: Path, chain: Sequence[Link], shows: Callable[[Record], bool] = is_for_payees) -> None:
        books = BundledBooks(self.records, shows, (), chain, self.catalogue)
        write_bundle(folder, period=OCTOBER, versions=VERSIONS, books=books, settled=self, traffic=None, made_at=NOON)


def signed(records: Sequence[Record], key: SigningKey, *ends: int) -> list[Link]:
    """Return a chain of checkpoints that end before the records of these places."""
    chain: list[Link] = []
    start, begin = 1, 0
    for number, end in enumerate(ends):
        part = records[begin:end]
        position_end = part[-1].position + 1 if part else start
        count, root = root_of(part)
        cut_at = (part[-1].recorded_at if part else NOON) + timedelta(microseconds=1)
        covered = Covered(start, position_end, count, root, cut_at)
        day = date(2026, 11, 1 + number)
        before = chain[-1] if chain else None
        chain.append(checkpoint_link(before, covered, day=day, public_key=key.public_key, sign=key.sign))
        start, begin = position_end, end
    return chain


def random_month(seed: int, *, rows: int = 30) -> Month:
    """Return a month with shared and sold videos, two cards, every kind of rate, ads, tax, a cap and a minimum.

    Every second month was billed from fewer views first, and is restated.
    """
    chance = random.Random(seed)
    catalogue, contracts = _catalogue(chance), _contracts(chance)
    made = [_count(chance, catalogue) for _ in range(rows)]
    counts = list({(each.video_id, each.event_day, each.country): each for each in made}.values())
    attribution = Attribution(OCTOBER, catalogue, contracts)
    books = FakeBooks()
    limit_micros = chance.choice([0, 10**15])
    first = run_of(actor="operator", batch_version=2 if seed % 2 else 3, approval_limit_micros=limit_micros)
    again = run_of(actor="operator", restatement_number=1, cause="late events", approval_limit_micros=limit_micros)
    runs = [(first, counts[: len(counts) // 2]), (again, counts)] if seed % 2 else [(first, counts)]
    for run, known in runs:
        views = FakeSettledViews(known, published())
        post_bills(run, rate_period(views.pieces(attribution), attribution), books)
        if len(runs) > 1:
            _approve(run, books)
    paid = paid_out(chance, books, NOON)
    return Month(catalogue, contracts, counts, list(_records(chance, paid, catalogue, contracts)))


def month_with(is_wanted: Callable[[dict[str, Any]], object], seed: int, *, rows: int = 30) -> Month:
    """Return the first random month, from every second seed on, in which a record's content is wanted.

    What a month holds is chance: a law that needs a certain record looks for a month that has one.
    """
    months = (random_month(each, rows=rows) for each in range(seed, seed + 40, 2))
    return next(month for month in months if any(is_wanted(json.loads(each.content)) for each in month.records))


def _approve(run: BillingRun, books: FakeBooks) -> None:
    for each in books.statements.values():
        if each.run_id == run.run_id and books.state(each) == "in_review":
            books.move("statement", each.statement_id, Move("approved", "max"))
    finalise_run(run.run_id, books)


def _catalogue(chance: random.Random) -> Catalogue:
    payees = tuple(Payee(name, name.title(), None, chance.choice([None, "DE", "US"])) for name in ("ann", "ben", "cid"))
    videos = tuple(Video(f"v{index}", chance.choice([None, 20, 45, 90])) for index in range(5))
    owners: list[OwnerShare] = []
    for index, video in enumerate(videos[:-1]):  # the last one is nobody's
        first, second = chance.sample(payees, 2)
        share = chance.randrange(1, 1_000_000)
        shares = [
            [OwnerShare(video.video_id, SINCE_EVER, WITHOUT_END, first.payee_id, 1_000_000)],
            [
                OwnerShare(video.video_id, SINCE_EVER, WITHOUT_END, first.payee_id, share),
                OwnerShare(video.video_id, SINCE_EVER, WITHOUT_END, second.payee_id, 1_000_000 - share),
            ],
            [
                OwnerShare(video.video_id, SINCE_EVER, SOLD_ON, first.payee_id, 1_000_000),
                OwnerShare(video.video_id, SOLD_ON, WITHOUT_END, second.payee_id, 1_000_000),
            ],
        ][index % 3]
        owners += divided(video.video_id, shares)
    return Catalogue(payees, videos, tuple(sorted(owners)))


def _rate(chance: random.Random) -> Rate:
    form = chance.choice(list(RateForm))
    rates = [chance.randrange(10_000_000) for _ in range(3)]
    if form is RateForm.FLAT:
        return Rate(form, (Tier(None, rates[0]),))
    first = chance.randrange(1, 6)
    return Rate(form, (Tier(first, rates[0]), Tier(first + chance.randrange(1, 9), rates[1]), Tier(None, rates[2])))


def _card(chance: random.Random, effective_from_on: date) -> RateCard:
    return RateCard(
        effective_from_on,
        _rate(chance),
        {"DE": _rate(chance), "US": _rate(chance)},
        minimum_view_seconds=chance.choice([None, 40]),
        ads={"preroll": AdRate(2_000_000, 550_000), "midroll": AdRate(chance.randrange(1, 9) * 1_000_000, 300_000)},
        tax_ppm=chance.choice([0, 150_000]),
        tax_ppm_by_country={"DE": 158_250},
        cap_micros=chance.choice([None, 30_000]),
    )


def _contracts(chance: random.Random) -> Contracts:
    cards = (_card(chance, date(2020, 1, 1)), _card(chance, NEW_CARD_ON))
    own = Contract("own", ("cid",), (_card(chance, date(2020, 1, 1)),))
    return Contracts("USD", (Contract("standard", None, cards), own))


def _count(chance: random.Random, catalogue: Catalogue) -> Count:
    views = chance.randrange(9)
    video_id, number = chance.choice(catalogue.videos).video_id, chance.randrange(31)
    return Count(
        video_id,
        date(2026, 10, 1) + timedelta(days=number),
        chance.choice(["DE", "US", "FR", None]),
        views,
        chance.randrange(views + 1),
        seconds=chance.choice([35, 60]),
        ads={chance.choice(["preroll", "midroll", SEVERAL]): chance.randrange(1, 4)} if chance.random() < 0.5 else {},
        others={chance.choice(NOT_COUNTED): chance.randrange(1, 3)},
        unbillable=NOT_BILLABLE[number % len(NOT_BILLABLE)],
    )


def _events_of(count: Count, row: int) -> Iterator[SettledEvent]:
    """Every event of a count; offsets tell the rows apart."""
    country = count.country or "ZZ"
    ids = [event_id(replace(count, others={}, ads={}), index) for index in range(count.views)]
    for index, each in enumerate(ids):
        is_billable = index < count.billable_views
        ads = [name for name, shown in count.ads.items() for _ in range(shown)] if index == 0 and is_billable else []
        outcome = "billable" if is_billable else count.unbillable
        place = (count.event_day, country, outcome, count.seconds, ads, count.policy_version)
        yield SettledEvent(count.video_id, each, row % 3, 1000 * row + index, *place, message_sha256(row, index))
    for outcome, shown in count.others.items():
        for index in range(shown):
            known = ids[0] if ids and outcome == "duplicate" else None
            place = (count.event_day, country, outcome, None, [], None)
            digest = message_sha256(row, 500 + index)
            yield SettledEvent(count.video_id, known, row % 3, 1000 * row + 500 + index, *place, digest)


def message_sha256(row: int, index: int) -> str:
    """The digest of a message that a month does not have."""
    return hashlib.sha256(f"{row} {index}".encode()).hexdigest()


def _records(chance: random.Random, paid: PaidOut, catalogue: Catalogue, contracts: Contracts) -> Iterator[Record]:
    position, books = 0, paid.books

    def record(kind: str, key: str, row: dict[str, Any], **children: Sequence[dict[str, Any]]) -> Record:
        nonlocal position
        position += chance.randrange(1, 4)  # numbers of what was rolled back stay out
        recorded_at = NOON + timedelta(seconds=position)
        return record_of(position, kind, key, recorded_at=recorded_at, row=row, children=children)

    for version in sorted({run.batch_version for run in books.runs.values()}):
        contracts_since = [{"version": 2, "offsets": {"topic": "video-views", "ends": [0, 0, 0]}}]
        row = {"version": version, "offsets": {"ends": [10, 10 * version]}, "event_contracts": contracts_since}
        yield record("version", str(version), row)
    values = document_of_policy(POLICIES[0])
    policy = {"kind": "counting", "policy_version": 1, "first_on": "1970-01-01", "document": values}
    yield record("policy", "counting 1", policy | {"content_hash": document_hash(values)})
    step = {"subject_kind": "policy", "subject_id": "counting:1", "transition_index": 0, "actor": "migration"}
    yield record("transition", "policy counting:1 0", step | {"from_state": "open", "to_state": "in_force"})
    thresholds = traffic_document(SHIPPED)
    of_traffic = {"kind": "traffic", "policy_version": 1, "first_on": "2026-10-01", "document": thresholds}
    yield record("policy", "traffic 1", of_traffic | {"content_hash": document_hash(thresholds)})
    step |= {"subject_id": "traffic:1"}
    yield record("transition", "policy traffic:1 0", step | {"from_state": "open", "to_state": "in_force"})
    yield record("catalogue", "1", {"catalogue_version": 1, "content_hash": catalogue.content_hash()})
    document = {"contract_version": 1, "content_hash": content_hash(contracts), "document": document_of(contracts)}
    yield record("contract", "1", document)
    for run in books.runs.values():
        row = {"run_id": run.run_id, "kind": run.kind, "batch_version": run.batch_version}
        yield record("run", run.run_id, row)
    for statement_id, statement in books.statements.items():
        version = books.runs[statement.run_id].batch_version
        lines = [_line_row(index, each, statement, version) for index, each in enumerate(books.lines[statement_id])]
        yield record("statement", statement_id, _statement_row(statement), lines=lines)
    for cause, key, row, children in paid.causes:
        yield record(cause, key, row, **children)
    for (kind, subject_id), steps in books.steps.items():
        for index, step in enumerate(steps):
            row = {"subject_kind": kind, "subject_id": subject_id, "transition_index": index, "actor": step.actor}
            row |= {"from_state": step.from_state, "to_state": step.to_state, "moved_at": step.moved_at.isoformat()}
            yield record("transition", f"{kind} {subject_id} {index}", row)
    for transaction in books.transactions:
        entries = [
            {"entry_index": index, "account": each.account, "amount_micros": each.amount_micros}
            for index, each in enumerate(transaction.entries)
        ]
        yield record("transaction", transaction.transaction_id, _transaction_row(transaction), entries=entries)
    for number, (payee_id, statement_id, delta_micros) in enumerate(books.notices, 1):
        row = {"notice_id": number, "payee_id": payee_id, "statement_id": statement_id, "delta_micros": delta_micros}
        yield record("notice", str(number), row)


def _statement_row(each: Statement) -> dict[str, Any]:
    names = (
        "statement_id", "run_id", "payee_id", "restatement_number", "currency", "inputs_hash",
        "carried_nanomicros_before", "carried_nanomicros_after", "over_cap_micros", "tax_country", "tax_micros",
        "payable_micros", "billable_views", "line_count",
    )  # fmt: skip
    days = {"period_start_on": str(each.period.start_on), "period_end_on": str(each.period.end_on)}
    causes = {} if each.causes is None else {"causes": dict(each.causes)}
    return {name: getattr(each, name) for name in names} | days | causes | {"outcomes": dict(each.outcomes)}


def _line_row(index: int, settled: SettledLine, statement: Statement, batch_version: int) -> dict[str, Any]:
    line = settled.line
    names = (
        "video_id", "share_ppm", "country", "policy_version", "kind", "tier_index", "event_start", "event_end",
        "quantity", "rate_per_thousand_micros", "settled_views", "evidence_root",
    )  # fmt: skip
    return (
        {name: getattr(line, name) for name in names}
        | {name: str(getattr(line, name)) for name in ("owned_from_on", "owned_to_on", "effective_from_on")}
        | {
            "line_index": index,
            "amount_micros": settled.amount_micros,
            "carried_nanomicros": settled.carried_nanomicros,
        }
        | {"currency": statement.currency, "provisional_views": 0, "batch_version": batch_version}
    )


def _transaction_row(each: LedgerTransaction) -> dict[str, Any]:
    row = {
        "transaction_id": each.transaction_id,
        "idempotency_key": each.idempotency_key,
        "effective_at": each.effective_at.isoformat(),
        "kind": each.kind,
        "payee_id": each.payee_id,
        "currency": each.currency,
    } | ({"reverses": each.reverses} if each.reverses else {})
    if each.chained is None:
        return row | {"remainder_micros": 0}
    names = (
        "statement_id", "payee_sequence", "carried_nanomicros_before", "carried_nanomicros_after", "remainder_micros",
    )  # fmt: skip
    return row | {name: getattr(each.chained, name) for name in names}
