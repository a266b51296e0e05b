"""viewledger-verify against what the product bills: both agree on random months, and any single change is found."""

import gzip
import hashlib
import json
import random
import shutil
import tracemalloc
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from billing.proof.checkpoint import Link
from billing.proof.ed25519_keys import SigningKey, create_key
from billing.proof.journal import Record, record_of
from billing.terms.catalogue import Catalogue
from tests.bundle_makers import Month, month_with, random_month, signed
from tests.examples import SHARING_A_FIXTURE, given, st
from tests.verifier import verifier

Change = Callable[[list[bytes], int, random.Random], list[bytes]]
CHANGED = ("events.csv.gz", "counts.csv.gz", "payees.csv", "videos.csv", "owners.csv", "records.jsonl", "leaves.csv")


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> SigningKey:
    return create_key(tmp_path_factory.mktemp("key") / "books.key")


def bundle_of(seed: int, folder: Path, key: SigningKey, *, unsigned: int = 0) -> Path:
    month = random_month(seed)
    shutil.rmtree(folder, ignore_errors=True)
    count = len(month.records)
    month.write(folder, signed(month.records, key, 3, count - unsigned))
    return folder


@SHARING_A_FIXTURE
@given(seed=st.integers(0, 10**9))
def test_what_the_product_bills_is_what_the_verifier_recomputes(seed: int, tmp_path: Path, key: SigningKey) -> None:
    found = verifier.verify(bundle_of(seed, tmp_path / "bundle", key), key.public_key, [])
    assert found["records_not_signed"] == 0
    assert found["statements"] > 0
    assert found["events"] > 0


def test_records_that_nobody_has_signed_yet_are_counted(tmp_path: Path, key: SigningKey) -> None:
    found = verifier.verify(bundle_of(7, tmp_path / "bundle", key, unsigned=2), key.public_key, [])
    assert found["records_not_signed"] == 2
    words = [str(tmp_path / "bundle"), "--pubkey", key.public_key]
    assert verifier.main(words) == 3


@SHARING_A_FIXTURE
@given(seed=st.integers(0, 10**9))
def test_any_single_change_is_found(seed: int, tmp_path: Path, key: SigningKey) -> None:
    """A byte changed, a line removed, doubled or exchanged, in any file."""
    chance = random.Random(seed)
    bundle = bundle_of(seed % 17, tmp_path / "bundle", key)
    name = chance.choice(CHANGED)
    if changed_somewhere(bundle / name, chance, CHANGES):
        with pytest.raises(verifier.WrongError):
            verifier.verify(bundle, key.public_key, [])


@SHARING_A_FIXTURE
@given(seed=st.integers(0, 10**9))
def test_a_change_is_found_and_named_even_if_the_manifest_was_changed_with_it(
    seed: int, tmp_path: Path, key: SigningKey
) -> None:
    """Of the events those are changed that something is paid for: the others are known by the manifest alone."""
    chance = random.Random(seed)
    bundle = bundle_of(seed % 17, tmp_path / "bundle", key)
    name = chance.choice(CHANGED)
    is_about = is_paid if name == "events.csv.gz" else lambda _: True
    changes = (removed, doubled, changed_event_id) if name == "events.csv.gz" else CHANGES
    if changed_somewhere(bundle / name, chance, changes, is_about):
        put_hash_right(bundle, name)
        with pytest.raises(verifier.WrongError) as wrong:
            verifier.verify(bundle, key.public_key, [])
        assert wrong.value.file in (*CHANGED, "checkpoints.jsonl")


def test_an_event_that_counts_more_advertisements_than_its_seconds_have_room_for_is_found(
    tmp_path: Path, key: SigningKey
) -> None:
    bundle = bundle_of(3, tmp_path / "bundle", key)
    name, shown = "events.csv.gz", b'"[%s]"' % b",".join([b'""nobody pays it""'] * 8)
    lines = read(bundle / name)
    at = next(at for at, line in enumerate(lines) if b",billable,35," in line)
    before, _, after = lines[at].partition(b",billable,35,")
    write(
        bundle / name,
        [
            *lines[:at],
            before + b",billable,35," + shown + b"," + b",".join(after.rsplit(b",", 2)[1:]),
            *lines[at + 1 :],
        ],
    )
    put_hash_right(bundle, name)
    with pytest.raises(verifier.WrongError, match="counts 8 advertisements; 35 seconds have room for 7"):
        verifier.verify(bundle, key.public_key, [])


def is_paid(line: bytes) -> bool:
    """Whether an event is in a line: longer than any contract's own minimum; what is nobody's is in suspense."""
    return b",billable,60," in line


def changed_somewhere(
    file: Path, chance: random.Random, changes: Sequence[Change], is_about: Callable[[bytes], bool] = lambda _: True
) -> bool:
    lines = read(file)
    first = 0 if file.suffix == ".jsonl" else 1
    places = [at for at in range(first, len(lines)) if is_about(lines[at])]
    after = chance.choice(changes)(list(lines), chance.choice(places), chance)
    write(file, after)
    return after != lines


def changed_byte(lines: list[bytes], at: int, chance: random.Random) -> list[bytes]:
    line = lines[at]
    place = chance.randrange(len(line))
    other = chance.choice([byte for byte in b"0123456789abcdef" if byte != line[place]])
    return [*lines[:at], line[:place] + bytes([other]) + line[place + 1 :], *lines[at + 1 :]]


def changed_event_id(lines: list[bytes], at: int, chance: random.Random) -> list[bytes]:
    video_id, event_id, rest = lines[at].split(b",", 2)
    (other,) = changed_byte([event_id], 0, chance)
    return [*lines[:at], b",".join((video_id, other, rest)), *lines[at + 1 :]]


def removed(lines: list[bytes], at: int, _: random.Random) -> list[bytes]:
    return [*lines[:at], *lines[at + 1 :]]


def doubled(lines: list[bytes], at: int, _: random.Random) -> list[bytes]:
    return [*lines[: at + 1], *lines[at:]]


def exchanged(lines: list[bytes], at: int, chance: random.Random) -> list[bytes]:
    other = chance.randrange(1, len(lines))
    lines[at], lines[other] = lines[other], lines[at]
    return lines


CHANGES = (changed_byte, removed, doubled, exchanged)


def read(file: Path) -> list[bytes]:
    content = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
    return content.splitlines()


def write(file: Path, lines: list[bytes]) -> None:
    content = b"".join(line + b"\n" for line in lines)
    file.write_bytes(gzip.compress(content, mtime=0) if file.suffix == ".gz" else content)


def put_hash_right(bundle: Path, name: str) -> None:
    manifest = json.loads((bundle / "manifest.json").read_bytes())
    manifest["files"][name] = verifier.Bundle(bundle).sha256(name)
    manifest["rows"][name] = len(read(bundle / name)) - (name in verifier.COLUMNS)
    (bundle / "manifest.json").write_text(json.dumps(manifest))


def edited(field: str, change: Callable[[int], int]) -> Callable[[dict], None]:  # type: ignore[type-arg]
    def edit(record: dict) -> None:  # type: ignore[type-arg]
        record["row"][field] = change(record["row"][field])

    return edit


def edited_line(field: str, change: Callable[[int], int]) -> Callable[[dict], None]:  # type: ignore[type-arg]
    def edit(record: dict) -> None:  # type: ignore[type-arg]
        record["lines"][0][field] = change(record["lines"][0][field])

    return edit


def more(value: int) -> int:
    return value + 1


def other_root(value: str) -> str:
    return value[::-1]


STATEMENT_EDITS = {
    "payable": edited("payable_micros", more),
    "tax": edited("tax_micros", more),
    "cap": edited("over_cap_micros", more),
    "views": edited("billable_views", more),
    "carried in": edited("carried_nanomicros_before", more),
    "carried on": edited("carried_nanomicros_after", more),
    "amount of a line": edited_line("amount_micros", more),
    "carry of a line": edited_line("carried_nanomicros", more),
    "quantity of a line": edited_line("quantity", more),
    "rate of a line": edited_line("rate_per_thousand_micros", more),
    "share of a line": edited_line("share_ppm", lambda share: share - 1),
    "tier of a line": edited_line("tier_index", more),
    "slice of a line": edited_line("event_end", more),
    "settled views of a line": edited_line("settled_views", more),
    "root of a line": edited_line("evidence_root", other_root),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("what", STATEMENT_EDITS)
def test_a_wrong_statement_is_found_even_when_it_was_signed(what: str, tmp_path: Path, key: SigningKey) -> None:
    """The signer itself errs or cheats: every number follows from the events, so the signature helps nobody."""
    month = random_month(12)
    found = 0
    for at, record in enumerate(month.records):
        value = json.loads(record.content)
        if record.kind == "statement" and value["lines"]:
            STATEMENT_EDITS[what](value)
            wrong = list(month.records)
            wrong[at] = type(record)(
                record.position, record.kind, record.key, record.recorded_at, verifier.canonical(value)
            )
            changed = type(month)(month.catalogue, month.contracts, month.counts_in, wrong)
            shutil.rmtree(tmp_path / "bundle", ignore_errors=True)
            changed.write(tmp_path / "bundle", signed(wrong, key, len(wrong)))
            with pytest.raises(verifier.WrongError) as error:
                verifier.verify(tmp_path / "bundle", key.public_key, [])
            assert error.value.file in ("records.jsonl", "events.csv.gz")
            found += 1
    assert found


LEFT_OUT = {
    ("reversal",): "is superseded and was never undone",
    ("statement",): "was finalised, and its transaction is not there",
    ("statement", "reversal"): "was finalised, and its transaction is not there",
}


def put_format(bundle: Path, number: int) -> None:
    manifest = json.loads((bundle / "manifest.json").read_bytes())
    manifest["format"] = f"viewledger-bundle/{number}"
    lines = read(bundle / "events.csv.gz")
    write(bundle / "events.csv.gz", [line.rpartition(b",")[0] for line in lines])
    manifest["files"]["events.csv.gz"] = hashlib.sha256((bundle / "events.csv.gz").read_bytes()).hexdigest()
    (bundle / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize("kinds", LEFT_OUT, ids=" and ".join)
def test_a_superseded_statement_whose_transactions_are_not_in_the_bundle_is_found(
    kinds: tuple[str, ...], tmp_path: Path, key: SigningKey
) -> None:
    """It would be paid twice, or not at all; a later remainder of the payee does not always give it away."""
    month, found = random_month(11), list[str]()
    for statement_id in superseded_in(month):
        shutil.rmtree(tmp_path / "bundle", ignore_errors=True)
        chain = signed(month.records, key, len(month.records))
        rest = [each for each in month.records if not posts(each, statement_id, kinds)]
        assert len(month.records) - len(rest) == len(kinds)
        replace(month, records=rest).write(tmp_path / "bundle", chain)
        shutil.copy(leaves_of_all(month, chain, tmp_path / "whole"), tmp_path / "bundle" / "leaves.csv")
        put_hash_right(tmp_path / "bundle", "leaves.csv")
        with pytest.raises(verifier.WrongError, match=r"transaction .* is not among the records of the bundle"):
            verifier.verify(tmp_path / "bundle", key.public_key, [])
        put_format(tmp_path / "bundle", 1)
        with pytest.raises(verifier.WrongError, match=rf"{LEFT_OUT[kinds]}|carried .* out before") as error:
            verifier.verify(tmp_path / "bundle", key.public_key, [])
        found.append(str(error.value))
    assert any(LEFT_OUT[kinds] in each for each in found)


def superseded_in(month: Month) -> list[str]:
    """Return the statements whose newest step says that another took their place."""
    rows = [json.loads(each.content)["row"] for each in month.records if each.kind == "transition"]
    return [row["subject_id"] for row in rows if row["to_state"] == "superseded"]


def posts(record: Record, statement_id: str, kinds: Sequence[str]) -> bool:
    row = json.loads(record.content)["row"]
    kind = "statement" if row.get("kind") == "suspense" else row.get("kind")
    return record.kind == "transaction" and row.get("statement_id") == statement_id and kind in kinds


def leaves_of_all(month: Month, chain: Sequence[Link], folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    month.write(folder, chain)
    return folder / "leaves.csv"


def without_notice(records: list[Record], at: int) -> None:
    del records[at]


def with_other_difference(records: list[Record], at: int) -> None:
    value = json.loads(records[at].content)
    value["row"]["delta_micros"] += 1
    records[at] = replace(records[at], content=verifier.canonical(value))


def for_another_statement(records: list[Record], at: int) -> None:
    value = json.loads(records[at].content)
    value["row"]["statement_id"] = "0" * 32
    records[at] = replace(records[at], content=verifier.canonical(value))


@pytest.mark.parametrize("change", [without_notice, with_other_difference, for_another_statement])
def test_a_payee_who_was_told_something_wrong_of_a_restatement_is_found_even_when_it_was_signed(
    change: Callable[[list[Record], int], None], tmp_path: Path, key: SigningKey
) -> None:
    month = random_month(11)
    at = next(at for at, record in enumerate(month.records) if record.kind == "notice")
    wrong = list(month.records)
    change(wrong, at)
    replace(month, records=wrong).write(tmp_path / "bundle", signed(wrong, key, len(wrong)))
    with pytest.raises(verifier.WrongError, match="changed what was posted"):
        verifier.verify(tmp_path / "bundle", key.public_key, [])


def as_another_kind(value: dict) -> bool:  # type: ignore[type-arg]
    """Post a payee's statement as what is nobody's."""
    if value["kind"] != "transaction" or value["row"]["kind"] != "statement":
        return False
    value["row"]["kind"] = "suspense"
    return True


def with_other_causes(value: dict) -> bool:  # type: ignore[type-arg]
    """Tell a payee another cause of the difference, or another part of it."""
    if not value["row"].get("causes"):
        return False
    value["row"]["causes"]["events"] = value["row"]["causes"].get("events", 0) + 1
    return True


def to_another_payee(value: dict) -> bool:  # type: ignore[type-arg]
    """Give what is in suspense to a payee whose it is not."""
    if value["kind"] != "statement" or value["row"]["payee_id"] != "suspense:unattributed" or not value["lines"]:
        return False
    value["row"]["payee_id"] = "cid"
    return True


def with_later_policy(value: dict) -> bool:  # type: ignore[type-arg]
    """Let the policy that judged the month begin within it."""
    if value["kind"] != "policy" or value["row"]["kind"] != "counting":
        return False
    value["row"]["first_on"] = "2026-10-31"
    return True


def with_other_values(value: dict) -> bool:  # type: ignore[type-arg]
    """Change a value of a policy, and not its hash."""
    if value["kind"] != "policy" or value["row"]["kind"] != "counting":
        return False
    value["row"]["document"]["minimum_view_seconds"] = 31
    return True


def not_in_force(value: dict) -> bool:  # type: ignore[type-arg]
    """Let nobody have approved the policy."""
    if value["kind"] != "transition" or value["row"]["subject_id"] != "counting:1":
        return False
    value["row"]["to_state"] = "refused"
    return True


@pytest.mark.parametrize(
    ("change", "answer"),
    [
        (with_later_policy, "was judged by counting policy 1; none rules that day"),
        (with_other_values, "policy counting 1 is not what its content_hash says"),
        (not_in_force, "no counting policy is in force"),
        (as_another_kind, "is not what its key statement:"),
        (with_other_causes, "the causes of statement .* add up to"),
        (to_another_payee, r"\w"),
    ],
)
def test_what_is_posted_or_told_against_the_rules_is_found_even_when_it_was_signed(
    change: Callable[[dict], bool],  # type: ignore[type-arg]
    answer: str,
    tmp_path: Path,
    key: SigningKey,
) -> None:
    month, found = month_with(change, 11), 0
    for at, record in enumerate(month.records):
        value = json.loads(record.content)
        if change(value):
            wrong = list(month.records)
            wrong[at] = replace(record, content=verifier.canonical(value))
            shutil.rmtree(tmp_path / "bundle", ignore_errors=True)
            replace(month, records=wrong).write(tmp_path / "bundle", signed(wrong, key, len(wrong)))
            with pytest.raises(verifier.WrongError, match=answer):
                verifier.verify(tmp_path / "bundle", key.public_key, [])
            found += 1
    assert found


@pytest.mark.parametrize(
    ("first_on", "answer"),
    [
        ("2026-10-02", "policy 2 rules that day|no checkpoint before that day covers it"),
        ("2026-11-02", "counting policy 2 rules from 2026-11-02 on, and no checkpoint before that day covers it"),
        ("2026-11-05", None),
    ],
)
def test_a_policy_that_was_signed_after_it_began_is_found(
    first_on: str, answer: str | None, tmp_path: Path, key: SigningKey
) -> None:
    month = random_month(5)
    last, policy = month.records[-1], next(each for each in month.records if each.kind == "policy")
    row = json.loads(policy.content)["row"] | {"policy_version": 2, "first_on": first_on}
    step = {"subject_kind": "policy", "subject_id": "counting:2", "transition_index": 1, "actor": "chris"}
    step |= {"from_state": "proposed", "to_state": "in_force"}
    place = {"recorded_at": last.recorded_at}
    records = [
        *month.records,
        record_of(last.position + 1, "policy", "counting 2", row=row, children={}, **place),
        record_of(last.position + 2, "transition", "policy counting:2 1", row=step, children={}, **place),
    ]
    replace(month, records=records).write(tmp_path / "bundle", signed(records, key, len(records)))
    if answer is None:
        verifier.verify(tmp_path / "bundle", key.public_key, [])
        return
    with pytest.raises(verifier.WrongError, match=answer):
        verifier.verify(tmp_path / "bundle", key.public_key, [])


def test_a_video_that_is_paid_beyond_the_whole_is_found_even_when_everything_was_signed(
    tmp_path: Path, key: SigningKey
) -> None:
    """The statement of a second payee for the same days pays the same views once more."""
    month, found = random_month(12), 0
    for record in month.records:
        value = json.loads(record.content)
        if record.kind == "statement" and value["lines"] and value["row"]["payee_id"] == "ann":
            twin = json.loads(record.content)
            twin["row"] |= {"payee_id": "dan", "statement_id": "f" * 32}
            position = month.records[-1].position + 1
            twin |= {"key": "f" * 32, "position": position}
            twin_record = replace(record, position=position, key="f" * 32, content=verifier.canonical(twin))
            step = {"subject_kind": "statement", "subject_id": "f" * 32, "transition_index": 0, "actor": "run"}
            step |= {"from_state": "open", "to_state": "calculated"}
            step_record = record_of(
                position + 1,
                "transition",
                f"statement {'f' * 32} 0",
                recorded_at=month.records[-1].recorded_at,
                row=step,
                children={},
            )
            wrong = [*month.records, twin_record, step_record]
            dan = replace(month.catalogue.payee_by_id["ann"], payee_id="dan")
            catalogue = replace(month.catalogue, payees=(*month.catalogue.payees, dan))
            wrong = [with_hash_of(each, catalogue) for each in wrong]
            shutil.rmtree(tmp_path / "bundle", ignore_errors=True)
            replace(month, catalogue=catalogue, records=wrong).write(
                tmp_path / "bundle", signed(wrong, key, len(wrong))
            )
            with pytest.raises(verifier.WrongError, match="more than the whole"):
                verifier.verify(tmp_path / "bundle", key.public_key, [])
            found += 1
    assert found


def with_hash_of(record: Record, catalogue: Catalogue) -> Record:
    """Return the catalogue's record with the hash of other content; every other record as it is."""
    if record.kind != "catalogue":
        return record
    value = json.loads(record.content)
    value["row"]["content_hash"] = catalogue.content_hash()
    return replace(record, content=verifier.canonical(value))


def test_another_key_vouches_for_nothing(tmp_path: Path, key: SigningKey) -> None:
    bundle = bundle_of(3, tmp_path / "bundle", key)
    other = create_key(tmp_path / "other.key")
    with pytest.raises(verifier.WrongError, match="no link is signed by the given key"):
        verifier.verify(bundle, other.public_key, [])


def test_books_signed_again_differ_from_the_kept_checkpoint(tmp_path: Path, key: SigningKey) -> None:
    month = random_month(5)
    kept = signed(month.records, key, 3, len(month.records))
    place = tmp_path / "kept"
    place.mkdir()
    for link in kept:
        (place / f"checkpoint-{link.sequence:06d}.json").write_bytes(link.to_file())
    month.write(tmp_path / "bundle", kept)
    assert verifier.verify(tmp_path / "bundle", key.public_key, [place])["statements"]
    month.write(tmp_path / "again", signed(month.records, key, 4, len(month.records)))
    with pytest.raises(verifier.WrongError, match="not the link that was kept elsewhere"):
        verifier.verify(tmp_path / "again", key.public_key, [place])
    month.write(tmp_path / "shorter", kept[:1])
    with pytest.raises(verifier.WrongError, match="kept elsewhere, is missing"):
        verifier.verify(tmp_path / "shorter", key.public_key, [place])


def test_memory_does_not_grow_with_the_number_of_events(tmp_path: Path, key: SigningKey) -> None:
    """Nothing but SQLite's file and one video's groups is held."""
    peaks = []
    for rows in (40, 400):
        month = random_month(23, rows=rows)
        folder = tmp_path / str(rows)
        month.write(folder, signed(month.records, key, len(month.records)))
        tracemalloc.start()
        verifier.verify(folder, key.public_key, [])
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 2 * peaks[0] + 1_000_000
