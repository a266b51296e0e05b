"""One event id has one spelling: where it is rejected, where it waits as a letter, and where it is looked for."""

import random
import uuid

import msgspec
import pytest

from ingestion.contract.decoding import decode_view_event
from ingestion.contract.event import RejectedEvent, ViewEvent, event_id_of
from speed_layer.chunk import Rejection
from speed_layer.dead_letter import dead_letter, read_letter
from tests.speed_fakes import START_MS, FakeRecord
from tests.unit.test_decoding import GOOD, encode

SEED = 20261128
CANONICAL = str(GOOD["event_id"])
SPELLINGS = [CANONICAL, CANONICAL.upper(), CANONICAL.replace("-", ""), CANONICAL.replace("-", "").upper()]


def rejected(**changes: object) -> RejectedEvent:
    found = decode_view_event(encode(**changes))
    assert isinstance(found, RejectedEvent)
    return found


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_every_spelling_of_an_id_is_that_id(spelling: str) -> None:
    assert event_id_of(spelling) == CANONICAL
    kept = decode_view_event(encode(event_id=spelling))
    assert isinstance(kept, ViewEvent)
    assert str(kept.event_id) == rejected(event_id=spelling, view_duration=-1).event_id == CANONICAL


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_letter_names_the_id_as_it_is_looked_for_even_one_written_as_it_was_sent(spelling: str) -> None:
    for event in (rejected(event_id=spelling, view_duration=-1), RejectedEvent((), spelling)):
        _, letter = dead_letter("views", 0, Rejection(FakeRecord(3, START_MS, b"{}"), event))
        assert read_letter(letter).event_id == CANONICAL


@pytest.mark.parametrize(
    "text", ["no id", f"{{{CANONICAL}}}", f"urn:uuid:{CANONICAL}", CANONICAL[:-1], f"{CANONICAL}\n"]
)
def test_what_is_not_an_id_stays_as_it_was_sent_so_that_its_sender_finds_it(text: str) -> None:
    assert event_id_of(text) is None
    assert rejected(event_id=text).event_id == text


def test_what_is_an_id_in_a_look_up_is_one_in_an_event_and_the_other_way_round() -> None:
    rng = random.Random(SEED)
    ids = 0
    for _ in range(20_000):
        text = list(rng.choice([str, lambda each: each.hex])(uuid.UUID(int=rng.getrandbits(128))))
        for _ in range(rng.choice([0, 0, 1, 2])):
            at = rng.randrange(len(text))
            text[at : at + rng.randrange(2)] = rng.choice(["-", "", "A", "g", "{", "\u0661", "0"])
        spelt = "".join(text)
        try:
            wanted = str(msgspec.convert(spelt, uuid.UUID))
        except msgspec.ValidationError:
            wanted = None
        assert event_id_of(spelt) == wanted, (SEED, spelt)
        ids += wanted is not None
    assert 5_000 < ids < 20_000
