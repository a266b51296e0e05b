"""viewledger-verify holds the whole ledger of a bundle against its causes, even when the signer errs or cheats."""

import json
import random
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from billing.books.posting import transaction_id_of
from billing.proof.ed25519_keys import SigningKey, create_key
from billing.proof.journal import Record
from tests.bundle_makers import Month, random_month, signed
from tests.verifier import verifier

KINDS = (
    "statement", "reversal", "payout", "payout_settled", "payout_rejected", "payout_returned", "payout_voided",
    "hold_voided", "bank_fee", "bank_unknown",
)  # fmt: skip
ACCOUNTS = ("expense:creator-revenue", "clearing:payouts", "bank", "withheld-tax:ZZ", "payable:ann", "payable:nobody")
SEEDS = range(1, 40)
Value = dict[str, Any]


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> SigningKey:
    return create_key(tmp_path_factory.mktemp("key") / "books.key")


@pytest.fixture(scope="module")
def months() -> dict[str, list[Month]]:
    """Two months for each kind of transaction, in which it stands."""
    found: dict[str, list[Month]] = {kind: [] for kind in KINDS}
    for seed in SEEDS:
        month = random_month(seed, rows=12)
        for kind in {kind_of(each) for each in month.records} & set(KINDS):
            found[kind] = [*found[kind], month][:2]
    assert all(found.values())
    return found


def kind_of(record: Record) -> str:
    return str(json.loads(record.content)["row"]["kind"]) if record.kind == "transaction" else ""


def verified(month: Month, records: Sequence[Record], folder: Path, key: SigningKey) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    replace(month, records=records).write(folder, signed(records, key, len(records)))
    verifier.verify(folder, key.public_key, [])


def with_row(record: Record, **changes: Any) -> Record:
    value = json.loads(record.content)
    value["row"] = {name: each for name, each in (value["row"] | changes).items() if each is not None}
    return replace(record, content=verifier.canonical(value))


def with_entries(record: Record, change: Callable[[list[Value]], None]) -> Record:
    value = json.loads(record.content)
    change(value["entries"])
    return replace(record, content=verifier.canonical(value))


def row_of(record: Record) -> Value:
    row: Value = json.loads(record.content)["row"]
    return row


def other_amount(record: Record, chance: random.Random) -> Record:
    def change(entries: list[Value]) -> None:
        more = chance.choice([1, -1, 500_000_000_000])
        entries[0]["amount_micros"] += more
        entries[1]["amount_micros"] -= more

    return with_entries(record, change)


def other_sign(record: Record, _: random.Random) -> Record:
    return with_entries(record, lambda entries: [each.update(amount_micros=-each["amount_micros"]) for each in entries])  # type: ignore[func-returns-value, arg-type, return-value]


def other_account(record: Record, chance: random.Random) -> Record:
    def change(entries: list[Value]) -> None:
        entry = chance.choice(entries)
        entry["account"] = chance.choice([each for each in ACCOUNTS if each != entry["account"]])

    return with_entries(record, change)


def account_in_part(record: Record, chance: random.Random) -> Record:
    """The same up to the colon, or a little longer: only the whole name is the account."""

    def change(entries: list[Value]) -> None:
        entry = chance.choice(entries)
        entry["account"] += chance.choice([":", "x", " "])

    return with_entries(record, change)


def more_entries(record: Record, chance: random.Random) -> Record:
    def change(entries: list[Value]) -> None:
        for amount in (5, -5):
            entries.append({"entry_index": len(entries), "account": chance.choice(ACCOUNTS), "amount_micros": amount})

    return with_entries(record, change)


def other_payee(record: Record, chance: random.Random) -> Record:
    payee_id = chance.choice([each for each in ("ann", "ben", "cid", "nobody") if each != row_of(record)["payee_id"]])
    return with_row(record, payee_id=payee_id)


def other_currency(record: Record, _: random.Random) -> Record:
    return with_row(record, currency="EUR")


def other_kind(record: Record, chance: random.Random) -> Record:
    row = row_of(record)
    kind = chance.choice([each for each in KINDS if each != row["kind"]])
    posting_key = f"{kind}:{row['idempotency_key'].partition(':')[2]}"
    changed = with_row(record, kind=kind, idempotency_key=posting_key, transaction_id=transaction_id_of(posting_key))
    return chance.choice([changed, with_row(record, kind=kind)])


def other_subject(record: Record, chance: random.Random) -> Record:
    posting_key = f"{row_of(record)['kind']}:{chance.randbytes(16).hex()}"
    return with_row(record, idempotency_key=posting_key, transaction_id=transaction_id_of(posting_key))


def other_time(record: Record, chance: random.Random) -> Record:
    year = chance.choice([2019, 2033])
    return with_row(record, effective_at=f"{year}-12-01T00:00:00+00:00")


def other_undone(record: Record, _: random.Random) -> Record:
    row = row_of(record)
    return with_row(record, reverses=None if "reverses" in row else row["transaction_id"])


CHANGES = (
    other_amount, other_sign, other_account, account_in_part, more_entries, other_payee, other_currency, other_kind,
    other_subject, other_time, other_undone,
)  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("change", CHANGES, ids=lambda each: each.__name__)
def test_a_transaction_that_differs_from_its_cause_is_named_even_when_it_was_signed(
    kind: str, change: Callable[[Record, random.Random], Record], months: Any, tmp_path: Path, key: SigningKey
) -> None:
    for seed, month in enumerate(months[kind]):
        chance = random.Random(seed)
        at = chance.choice([at for at, each in enumerate(month.records) if kind_of(each) == kind])
        changed = change(month.records[at], chance)
        if all(not entry["amount_micros"] for entry in json.loads(changed.content)["entries"]):
            continue  # a statement of nothing has no sign
        with pytest.raises(verifier.WrongError) as wrong:
            verified(month, [*month.records[:at], changed, *month.records[at + 1 :]], tmp_path / "bundle", key)
        assert wrong.value.file == "records.jsonl"


LEDGER = (
    "transaction",
    "hold",
    "payout_batch",
    "bank_entry",
    "transition payout",
    "transition hold",
    "transition payout_batch",
)


@pytest.mark.parametrize("what", LEDGER)
def test_a_record_of_the_ledger_that_is_left_out_is_named_by_its_leaf(
    what: str, months: Any, tmp_path: Path, key: SigningKey
) -> None:
    kind, _, subject = what.partition(" ")
    found = 0
    for month in (month for of_kind in months.values() for month in of_kind):
        left = [each for each in month.records if each.kind == kind and each.key.startswith(subject)]
        for record in left[-1:]:
            chain = signed(month.records, key, len(month.records))
            shutil.rmtree(tmp_path, ignore_errors=True)
            month.write(tmp_path / "bundle", chain)
            lines = (tmp_path / "bundle" / "records.jsonl").read_bytes().splitlines(keepends=True)
            lines.remove(record.content + b"\n")
            (tmp_path / "bundle" / "records.jsonl").write_bytes(b"".join(lines))
            with pytest.raises(verifier.WrongError, match=rf"{kind} {record.key} is not among the records"):
                verifier.verify(tmp_path / "bundle", key.public_key, [])
            found += 1
    assert found


def minted(month: Month, kind: str, subject: str, amount: int, second: str) -> list[Record]:
    """Return the records with a balanced transaction more that credits ann."""
    posting_key, last = f"{kind}:{subject}", month.records[-1]
    row = {"transaction_id": transaction_id_of(posting_key), "idempotency_key": posting_key, "kind": kind}
    row |= {"payee_id": "ann", "currency": "USD", "remainder_micros": 0, "effective_at": last.recorded_at.isoformat()}
    entries = [("payable:ann", -amount), (second, amount)]
    value = {
        "position": last.position + 1, "kind": "transaction", "key": row["transaction_id"], "row": row,
        "recorded_at": last.recorded_at.isoformat(),
        "entries": [
            {"entry_index": index, "account": account, "amount_micros": micros}
            for index, (account, micros) in enumerate(entries)
        ],
    }  # fmt: skip
    content = verifier.canonical(value)
    return [*month.records, Record(last.position + 1, "transaction", str(value["key"]), last.recorded_at, content)]


@pytest.mark.parametrize(
    ("kind", "second"),
    [("hold_voided", "expense:creator-revenue"), ("payout_rejected", "clearing:payouts"), ("gift", "bank")],
)
def test_money_that_was_minted_is_named(kind: str, second: str, months: Any, tmp_path: Path, key: SigningKey) -> None:
    (month, *_) = months["payout"]
    with pytest.raises(verifier.WrongError, match=rf"transaction .* \({kind}:none\) has no cause"):
        verified(month, minted(month, kind, "none", 500_000_000_000, second), tmp_path / "bundle", key)


def test_a_payment_of_more_than_was_owed_is_named(months: Any, tmp_path: Path, key: SigningKey) -> None:
    """Batch, payment, step and transaction agree; only what is owed does not."""
    (month, *_) = months["payout"]
    records = []
    for each in month.records:
        value = json.loads(each.content)
        for item in value.get("items", []):
            item["amount_micros"] += 10**12
        if kind_of(each).startswith("payout"):
            for entry in value["entries"]:
                entry["amount_micros"] += 10**12 * (1 if entry["amount_micros"] > 0 else -1)
        records.append(replace(each, content=verifier.canonical(value)))
    with pytest.raises(verifier.WrongError, match=r"micros more than payee .* was owed"):
        verified(month, records, tmp_path / "bundle", key)


def test_a_batch_that_its_maker_approved_is_named(months: Any, tmp_path: Path, key: SigningKey) -> None:
    (month, *_) = months["payout_settled"]
    records = [
        with_row(each, actor="eve") if each.kind == "transition" and row_of(each)["to_state"] == "approved" else each
        for each in month.records
    ]
    with pytest.raises(verifier.WrongError, match="was approved by eve, who made it"):
        verified(month, records, tmp_path / "bundle", key)


def test_a_payment_that_was_never_posted_is_named(months: Any, tmp_path: Path, key: SigningKey) -> None:
    (month, *_) = months["payout_voided"]
    records = [each for each in month.records if kind_of(each) not in ("payout", "payout_voided")]
    with pytest.raises(verifier.WrongError, match=r"payout:\w+ is due and was never posted"):
        verified(month, records, tmp_path / "bundle", key)


def with_bank_entries(month: Month, change: Callable[[Value], object]) -> list[Record]:
    """Return the records with what the bank booked for payments changed."""
    records = []
    for each in month.records:
        value = json.loads(each.content)
        if each.kind == "bank_entry" and value["row"]["purpose"] in ("settles", "returns"):
            change(value["row"])
        records.append(replace(each, content=verifier.canonical(value)))
    return records


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda row: row.update(amount_micros=row["amount_micros"] - 1), "is not of the amount of its payment"),
        (
            lambda row: row.update(currency="EUR"),
            "is not of the amount of its payment|its cause of suspense:bank in EUR",
        ),
        (lambda row: row.update(item_id="0" * 32), "is not of the amount of its payment"),
    ],
)
def test_what_the_bank_booked_for_a_payment_is_of_its_amount_and_step(
    change: Callable[[Value], object], problem: str, months: Any, tmp_path: Path, key: SigningKey
) -> None:
    found = 0
    for month in (month for of_kind in months.values() for month in of_kind):
        if (records := with_bank_entries(month, change)) == list(month.records):
            continue
        found += 1
        with pytest.raises(verifier.WrongError, match=problem):
            verified(month, records, tmp_path / "bundle", key)
    assert found


def test_a_payment_without_the_step_that_the_bank_booked_is_named(months: Any, tmp_path: Path, key: SigningKey) -> None:
    found = 0
    for month in (month for of_kind in months.values() for month in of_kind):
        steps = {(row["subject_id"], row["to_state"]) for row in map(row_of, month.records) if "to_state" in row}

        def change(row: Value, steps: set[tuple[str, str]] = steps) -> None:
            if (row["item_id"], "returned") not in steps:
                row.update(purpose="returns", amount_micros=-row["amount_micros"] - 2 * row["charges_micros"])

        if (records := with_bank_entries(month, change)) != list(month.records):
            found += 1
            with pytest.raises(verifier.WrongError, match="returns a payment not returned"):
                verified(month, records, tmp_path / "bundle", key)
    assert found


def test_a_movement_that_was_never_posted_is_named(months: Any, tmp_path: Path, key: SigningKey) -> None:
    for kind in ("bank_fee", "bank_unknown"):
        (month, *_) = months[kind]
        records = [each for each in month.records if kind_of(each) != kind]
        with pytest.raises(verifier.WrongError, match=rf"{kind}:\w+ is due and was never posted"):
            verified(month, records, tmp_path / "bundle", key)
