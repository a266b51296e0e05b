"""The stand-alone verifier and receipts: both programs read the same, and a receipted event that is gone is named."""

import json
import random
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from billing.proof.ed25519_keys import SigningKey, create_key
from billing.proof.journal import Record, record_of
from ingestion.contract.settled import SettledEvent
from ingestion.jwt_receipts import public_key_set
from ingestion.receipts import ReceiptedEvent
from tests.bundle_makers import Month, is_for_payees, random_month, signed
from tests.ingestion_fakes import ed25519_jwk
from tests.receipt_makers import KEYS, line_over
from tests.verifier import verifier

SEED = 5
AT = datetime(2026, 10, 31, 12, tzinfo=UTC)
LATER = AT + timedelta(days=1)


@dataclass
class Receipted:
    """A month in which every event has a receipt, and its bundle."""

    month: Month
    folder: Path
    key: SigningKey

    def events(self) -> list[SettledEvent]:
        return [each for each in self.month.events(None) if each.event_id is not None]

    def bundle(
        self,
        change: Callable[[SettledEvent], SettledEvent | None] = lambda each: each,
        shows: Callable[[Record], bool] = is_for_payees,
    ) -> Path:
        """Write a bundle whose events were changed before anything was billed; None leaves an event out."""
        folder, shown = self.folder / "bundle", [change(each) for each in self.month.events(None)]
        shutil.rmtree(folder, ignore_errors=True)
        Altered(**vars(self.month), shown=[each for each in shown if each is not None]).write(
            folder, signed(self.month.records, self.key, len(self.month.records)), shows
        )
        return folder

    def lines(self, *, at: datetime = AT, with_paths: bool = False) -> list[bytes]:
        chance, rest, lines = random.Random(SEED), receipts_for(self.events()), list[bytes]()
        while rest:
            count = chance.randrange(1, 9)
            lines.append(line_over(rest[:count], with_paths=with_paths, at=at))
            rest = rest[count:]
        return lines

    def verify(self, bundle: Path, *lines: bytes, keys: bytes | None = None) -> dict[str, Any]:
        receipts, jwks = self.folder / "receipts.jsonl", self.folder / "keys.json"
        receipts.write_bytes(b"".join(lines))
        jwks.write_bytes(public_key_set(KEYS) if keys is None else keys)
        found: dict[str, Any] = verifier.verify(bundle, self.key.public_key, [], receipts=[receipts], receipt_keys=jwks)
        return found


@dataclass(frozen=True)
class Altered(Month):
    """A month whose bundle shows other events than those that were billed."""

    shown: Sequence[SettledEvent] = ()

    def events(self, _period: object) -> list[SettledEvent]:
        return list(self.shown)


def receipts_for(events: Sequence[SettledEvent]) -> list[ReceiptedEvent]:
    return [
        ReceiptedEvent(str(each.event_id), each.video_id, each.event_day, str(each.message_sha256)) for each in events
    ]


def with_watermark(record: Record, at: datetime) -> Record:
    fields = json.loads(record.content)
    if fields["kind"] != "version":
        return record
    row = fields["row"] | {"watermarks": [at.isoformat(), (at + timedelta(hours=1)).isoformat()]}
    recorded_at = datetime.fromisoformat(fields["recorded_at"])
    return record_of(record.position, record.kind, record.key, recorded_at=recorded_at, row=row, children={})


@pytest.fixture
def receipted(tmp_path: Path) -> Receipted:
    month = random_month(SEED)
    month = replace(month, records=[with_watermark(each, LATER) for each in month.records])
    return Receipted(month, tmp_path, create_key(tmp_path / "books.key"))


def test_every_receipted_event_of_an_honest_bundle_is_there(receipted: Receipted) -> None:
    bundle, count = receipted.bundle(), len(receipted.events())
    assert count > 20
    for with_paths in (False, True):
        found = receipted.verify(bundle, *receipted.lines(with_paths=with_paths))
        names = ("receipted_events", "receipted_events_without_content", "receipted_events_not_settled")
        assert [found[name] for name in names] == [count, 0, 0]
        assert found["receipted_events_elsewhere"] == 0


def test_an_event_that_is_not_in_the_bundle_is_named_with_its_receipt(receipted: Receipted) -> None:
    wanted = receipts_for(receipted.events())[0]
    gone = ReceiptedEvent("00000000-0000-4000-8000-000000000000", wanted.video_id, wanted.event_day, wanted.sha256)
    bundle = receipted.bundle()
    with pytest.raises(verifier.WrongError, match=rf"event {gone.event_id}, receipted at .*line 1\), is not there"):
        receipted.verify(bundle, line_over([wanted, gone], at=AT))
    # a version that does not reach to the receipt cannot have the event
    found = receipted.verify(bundle, line_over([wanted, gone], at=LATER))
    assert (found["receipted_events"], found["receipted_events_not_settled"]) == (1, 1)
    other = ReceiptedEvent(gone.event_id, wanted.video_id, wanted.event_day.replace(month=9, day=1), wanted.sha256)
    assert receipted.verify(bundle, line_over([other], at=AT))["receipted_events_elsewhere"] == 1
    future = ReceiptedEvent(gone.event_id, wanted.video_id, wanted.event_day, wanted.sha256)
    received = datetime(2026, 9, 30, 23, 59, tzinfo=UTC)
    assert receipted.verify(bundle, line_over([future], at=received))["receipted_events_elsewhere"] == 1


@pytest.mark.parametrize("field", ["sha256", "video_id", "event_day"])
def test_an_event_with_another_content_video_or_day_is_named(receipted: Receipted, field: str) -> None:
    wanted = receipts_for(receipted.events())[3]
    values = {"sha256": "0" * 64, "video_id": "another", "event_day": wanted.event_day.replace(day=1)}
    if values[field] == wanted.event_day:
        values[field] = wanted.event_day.replace(day=2)
    fields = {name: getattr(wanted, name) for name in ("event_id", "video_id", "event_day", "sha256")}
    line = line_over([ReceiptedEvent(**(fields | {field: values[field]}))])
    with pytest.raises(verifier.WrongError, match=f"event {wanted.event_id}, .* another content, video or day"):
        receipted.verify(receipted.bundle(), line)


def test_a_message_that_the_archive_no_longer_has_is_compared_without_its_content(receipted: Receipted) -> None:
    bundle = receipted.bundle(lambda each: replace(each, message_sha256=None))
    found = receipted.verify(bundle, *receipted.lines())
    assert found["receipted_events_without_content"] == found["receipted_events"] == len(receipted.events())


def test_a_bundle_without_digests_is_read_and_not_compared_with_receipts(receipted: Receipted) -> None:
    from tests.laws.test_verifier_laws import put_format

    bundle = receipted.bundle(shows=lambda record: True)  # it was written before payees had one of their own
    put_format(bundle, 2)
    assert verifier.verify(bundle, receipted.key.public_key, [])["events"] > 0
    with pytest.raises(verifier.UnusableError, match="which has no digests"):
        receipted.verify(bundle, *receipted.lines())


def test_receipts_that_cannot_be_used_are_refused_with_one_sentence(receipted: Receipted) -> None:
    bundle, (line, *_) = receipted.bundle(), receipted.lines()
    other = json.dumps({"keys": [ed25519_jwk("r1", Ed25519PrivateKey.generate())]}).encode()
    for text, keys, sentence in (
        (b"", None, "holds no receipt"),
        (b"{oops}\n", None, "line 1: is not a receipt"),
        (line + line[:80], None, "line 2: ends within a receipt"),
        (b" " * (1 << 20) + line, None, "longer than any receipt"),
        (line, other, "its signature is wrong"),
        (line, b'{"keys": []}', "its key 'r1' is unknown"),
        (line, b"{}", "not a JWK Set"),
        (line.replace(b'"video_id":"v', b'"video_id":"w', 1), None, "does not lead to the root"),
    ):
        with pytest.raises(verifier.UnusableError, match=sentence):
            receipted.verify(bundle, text, keys=keys)
    words = [str(bundle), "--pubkey", receipted.key.public_key, "--receipts", str(receipted.folder / "receipts.jsonl")]
    assert verifier.main(words) == 2


def test_both_programs_refuse_the_same_changed_receipts(receipted: Receipted) -> None:
    """Any byte: what one program reads, the other reads as the same events."""
    from ingestion.receipts import ReceiptError, read_receipt
    from tests.receipt_makers import READ_SIGNED

    chance = random.Random(SEED)
    keys = {key.kid: key.public.public_bytes_raw() for key in KEYS}
    for line in (receipted.lines()[0], receipted.lines(with_paths=True)[0]):
        for _ in range(150):
            at = chance.randrange(len(line))
            other = line[:at] + bytes([line[at] ^ 1 << chance.randrange(7)]) + line[at + 1 :]
            try:
                _, ours = read_receipt(other, READ_SIGNED)
            except ReceiptError:
                with pytest.raises((verifier.UnusableError, *verifier.NO_VALUE)):
                    verifier._checked_receipt(other, keys)
                continue
            _, theirs = verifier._checked_receipt(other, keys)
            assert [each.event_id for each in ours] == [each["event_id"] for each in theirs]
