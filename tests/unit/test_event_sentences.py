"""The reasons of events in words: for one event and for the links of a statement, which are of many."""

import pytest

from serving_layer.money.proofs import EventPart, PaymentStatus
from serving_layer.portal.event_sentences import kind_text, part_sentence, reason_text
from serving_layer.portal.statement_chain import chain_of
from tests.portal_fakes import ANNS, FakePorts


def test_a_reason_of_one_event_ends_its_sentence_and_names_the_code() -> None:
    assert part_sentence(EventPart("ann", PaymentStatus.EXCLUDED, "below_minimum")) == (
        "Not paid: shorter than the minimum."
    )
    assert reason_text("invalid_traffic:same_moment") == "made by no viewer (same moment)"
    assert reason_text(None) == "no reason is on record"


def test_a_link_of_many_events_speaks_of_no_single_one_and_repeats_no_code() -> None:
    for step in chain_of(FakePorts().rows[ANNS].detail):
        assert not {"it", "is"} & set(step.meaning.split()), step.meaning
        assert "(" not in step.meaning


@pytest.mark.parametrize("reason", ["conflict", "late_review"])
def test_a_reason_says_what_is_decided_and_by_whom(reason: str) -> None:
    assert kind_text(reason).endswith({"conflict": "the first one counts", "late_review": "a person decides"}[reason])
