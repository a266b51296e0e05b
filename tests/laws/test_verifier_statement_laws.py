"""viewledger-verify against bundles of single statements: it agrees with them, finds any change, and shows no other."""

import json
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from billing.proof.canonical import canonical_json
from billing.proof.checkpoint import Link
from billing.proof.ed25519_keys import SigningKey, create_key
from billing.proof.journal import Record
from serving_layer.money.proofs import NDJSON, PaidEvent
from tests.bundle_makers import Month, random_month, signed
from tests.examples import SHARING_A_FIXTURE, given, st
from tests.statement_bundles import bundle_of, events_of, statements_of
from tests.verifier import verifier


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> SigningKey:
    return create_key(tmp_path_factory.mktemp("key") / "books.key")


def month_of(seed: int, key: SigningKey, *, unsigned: int = 0) -> tuple[Month, list[Link]]:
    month = random_month(seed)
    count = len(month.records)
    return month, signed(month.records, key, count // 3, count // 2, count - unsigned)


def written(folder: Path, bundle: bytes, events: Sequence[PaidEvent] = ()) -> tuple[Path, Path]:
    file, event_file = folder / "statement.json", folder / "events.ndjson"
    file.write_bytes(bundle)
    event_file.write_bytes(NDJSON.rows(events))
    return file, event_file


def newest(month: Month) -> list[dict[str, Any]]:
    return [each for each in statements_of(month) if each["row"]["run_id"] == statements_of(month)[-1]["row"]["run_id"]]


@SHARING_A_FIXTURE
@given(seed=st.integers(0, 10**9))
def test_every_statement_of_a_month_is_verified_with_its_events(seed: int, tmp_path: Path, key: SigningKey) -> None:
    month, chain = month_of(seed, key)
    for each in statements_of(month):
        statement_id = each["row"]["statement_id"]
        file, _ = written(tmp_path, bundle_of(month, statement_id, chain))
        found = verifier.verify_statement(file, key.public_key, [])
        assert (found["statement_id"], found["records_not_signed"]) == (statement_id, 0)
        assert found["payable_micros"] == each["row"]["payable_micros"]
    for each in newest(month):
        events = events_of(month, each)
        file, event_file = written(tmp_path, bundle_of(month, each["row"]["statement_id"], chain), events)
        found = verifier.verify_statement(file, key.public_key, [], events=event_file)
        assert found["events"] == len(events) == each["row"]["billable_views"]


@SHARING_A_FIXTURE
@given(seed=st.integers(0, 10**9))
def test_a_bundle_names_no_other_payee(seed: int, tmp_path: Path, key: SigningKey) -> None:
    month, chain = month_of(seed, key)
    payees = {each["row"]["payee_id"] for each in statements_of(month)}
    for each in statements_of(month):
        text = bundle_of(month, each["row"]["statement_id"], chain).decode()
        others = payees - {each["row"]["payee_id"]}
        assert not [payee_id for payee_id in others if f'"{payee_id}"' in text or f":{payee_id}" in text]


@SHARING_A_FIXTURE
@given(seed=st.integers(0, 10**9))
def test_any_changed_byte_of_what_is_signed_is_found(seed: int, tmp_path: Path, key: SigningKey) -> None:
    chance = random.Random(seed)
    month, chain = month_of(seed % 17, key)
    statement_id = chance.choice(statements_of(month))["row"]["statement_id"]
    document = json.loads(bundle_of(month, statement_id, chain))
    each = chance.choice([*document["records"], *document["checkpoints"]])
    name = chance.choice([name for name, value in each.items() if isinstance(value, str)])
    place = chance.randrange(len(each[name]))
    other = chance.choice([character for character in "0123456789abcdef" if character != each[name][place]])
    each[name] = each[name][:place] + other + each[name][place + 1 :]
    file, _ = written(tmp_path, json.dumps(document).encode())
    with pytest.raises(verifier.WrongError):
        verifier.verify_statement(file, key.public_key, [])


@SHARING_A_FIXTURE
@given(seed=st.integers(0, 10**9))
def test_a_record_or_an_event_that_is_left_out_doubled_or_moved_is_found(
    seed: int, tmp_path: Path, key: SigningKey
) -> None:
    chance = random.Random(seed)
    month, chain = month_of(seed % 17, key)
    statement = chance.choice([each for each in newest(month) if each["row"]["billable_views"]] or newest(month))
    bundle, events = bundle_of(month, statement["row"]["statement_id"], chain), events_of(month, statement)
    document = json.loads(bundle)
    if events and chance.random() < 0.5:
        at = chance.randrange(len(events))
        left = [*events[:at], *events[at + 1 :]]
        changed = [PaidEvent(number, *_rest(each)) for number, each in enumerate(left, 1)]
        file, event_file = written(tmp_path, bundle, changed)
    else:
        # the newest step may be one that was not there yet: what is sentence of it is that no later step is shown
        at = chance.randrange(len(document["records"]) - 1)
        document["records"][at : at + 1] = chance.choice([[], [document["records"][at]] * 2])
        file, event_file = written(tmp_path, json.dumps(document).encode(), events)
    with pytest.raises(verifier.WrongError):
        verifier.verify_statement(file, key.public_key, [], events=event_file)


def _rest(event: PaidEvent) -> tuple[str, str, tuple[int, ...]]:
    return event.video_id, event.event_id, event.lines


def test_the_verifier_reports_what_it_shows_and_what_it_does_not(
    tmp_path: Path, key: SigningKey, capsys: pytest.CaptureFixture[str]
) -> None:
    month, chain = month_of(4, key)
    statement = next(each for each in newest(month) if each["row"]["billable_views"])
    statement_id, events = statement["row"]["statement_id"], events_of(month, statement)
    file, event_file = written(tmp_path, bundle_of(month, statement_id, chain), events)
    words = [str(file), "--pubkey", key.public_key]
    assert verifier.main([*words, "--events", str(event_file)]) == 0
    whole, micros = divmod(statement["row"]["payable_micros"], 1_000_000)
    sentence = capsys.readouterr().out
    assert f"everything agrees: statement {statement_id} of payee {statement['row']['payee_id']}" in sentence
    assert f"{whole:,}.{micros:06} USD payable" in sentence
    assert f"{len(events):,} event" in sentence
    assert "this does not show:" in sentence
    assert "--kept" in sentence
    assert "--events" not in sentence
    assert verifier.main([*words, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["sound"]
    assert any("--events" in each for each in document["does_not_show"])
    written(tmp_path, bundle_of(month, statement_id, chain[:1]))
    assert verifier.main(words) == 3
    assert verifier.main([str(file), "--pubkey", "ab" * 32]) == 1
    for wrong in ("{}", "[]", "7", '{"format": "viewledger-bundle/3"}'):
        file.write_text(wrong)
        assert verifier.main(words) == 2
    assert verifier.main([*words, "--receipts", str(file), "--receipt-keys", str(file)]) == 2
    assert verifier.main([str(tmp_path), "--pubkey", key.public_key, "--events", str(event_file)]) == 2


def test_an_amount_that_the_signer_made_up_is_found_in_the_lines(tmp_path: Path, key: SigningKey) -> None:
    """A holder of the key can sign anything; the lines must come to the amount all the same."""
    month, _ = month_of(4, key)
    statement = next(each for each in newest(month) if each["row"]["billable_views"])
    for name in ("payable_micros", "over_cap_micros", "billable_views", "carried_nanomicros_after"):
        other = {**statement, "row": {**statement["row"], name: statement["row"][name] + 1}}
        records = [_with_content(each, other) if each.key == statement["key"] else each for each in month.records]
        spoilt = Month(month.catalogue, month.contracts, month.counts_in, records)
        chain = signed(records, key, len(records))
        file, _ = written(tmp_path, bundle_of(spoilt, statement["row"]["statement_id"], chain))
        with pytest.raises(verifier.WrongError):
            verifier.verify_statement(file, key.public_key, [])


def _with_content(record: Record, content: dict[str, Any]) -> Record:
    return replace(record, content=canonical_json(content))
