"""What a published version hands to billing: records, and the same ones on both sides."""

import dataclasses
from datetime import date

import msgspec
import pytest

from batch_layer.settled import spark_attribution
from ingestion.contract import settled

RECORDS = [each for each in vars(settled).values() if isinstance(each, type) and each.__module__ == settled.__name__]
CLASSES = [each for each in RECORDS if dataclasses.is_dataclass(each)]


@pytest.mark.parametrize("record", CLASSES, ids=lambda each: each.__name__)
def test_a_record_never_changes_once_it_is_made(record: type) -> None:
    names = [field.name for field in dataclasses.fields(record)]
    made = record(*names)
    assert made == record(*names)
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(made, names[0], "another")


def test_every_class_of_the_module_is_such_a_record_or_a_tuple_or_the_packed_piece_or_an_enum() -> None:
    assert len(CLASSES) >= 8
    others = {each for each in RECORDS if each not in CLASSES}
    assert others == {
        settled.OwnedDays,
        settled.CardDays,
        settled.SettledPiece,
        settled.MovedViews,
        settled.TrafficState,
    }


def test_a_piece_is_packed_without_names_and_comes_back_the_same() -> None:
    day = date(2026, 10, 1)
    piece = settled.SettledPiece("ann", "v", day, day, "*", 1, day, 500_000, {"billable": 1}, {}, ["id"])
    packed = msgspec.msgpack.encode([piece])
    assert b"payee_id" not in packed
    assert list(spark_attribution.unpacked([[packed]])) == [piece]


def test_the_rows_of_billing_have_the_columns_that_spark_joins_with() -> None:
    assert len(settled.OwnedDays._fields) == len(spark_attribution._OWNER)
    assert len(settled.CardDays._fields) == len(spark_attribution._CARD)
    owned = dict(zip(settled.OwnedDays._fields, spark_attribution._OWNER.names, strict=True))
    assert owned["share_ppm"] == "share_ppm"
    assert owned["from_on"] == "owned_from_on"
    assert owned["contract_index"] == "contract_index"
    card = dict(zip(settled.CardDays._fields, spark_attribution._CARD.names, strict=True))
    assert (card["from_on"], card["to_on"]) == ("card_from_on", "card_to_on")
