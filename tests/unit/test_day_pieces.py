"""Which days are judged in one plan: as many as fit, in order, and each of them once."""

import random
from datetime import date, timedelta
from itertools import chain

from batch_layer.judging.due_days import in_pieces

DAY = date(2026, 11, 1)


def day(number: int) -> date:
    return DAY + timedelta(days=number)


def test_days_are_judged_together_until_their_events_with_those_of_the_days_before_are_too_many() -> None:
    counts = {day(number): 10 for number in range(6)}
    assert list(in_pieces(counts, counts, 50)) == [(day(0), day(1), day(2)), (day(3), day(4)), (day(5),)]
    assert list(in_pieces(counts, counts, 1_000)) == [tuple(counts)]


def test_a_day_that_is_too_large_is_judged_alone() -> None:
    counts = {day(0): 10, day(1): 500, day(2): 10, day(3): 10}
    assert list(in_pieces([day(3), day(1), day(0), day(2)], counts, 50)) == [
        (day(0),), (day(1),), (day(2),), (day(3),)
    ]  # fmt: skip


def test_a_day_without_events_beside_one_with_some_is_judged_too() -> None:
    assert list(in_pieces([day(1), day(8)], {day(0): 3}, 50)) == [(day(1), day(8))]
    assert list(in_pieces([], {}, 50)) == []


def test_every_day_is_in_one_piece_and_no_piece_of_several_is_too_large() -> None:
    rng = random.Random(20_261_129)
    for _ in range(200):
        counts = {day(number): rng.randrange(60) for number in range(-1, 20) if rng.random() < 0.9}
        days = [day(number) for number in range(20) if rng.random() < 0.8]
        pieces = list(in_pieces(days, counts, 100))
        assert list(chain.from_iterable(pieces)) == days
        for piece in pieces:
            rows = sum(counts.get(each, 0) + counts.get(each - timedelta(days=1), 0) for each in piece)
            assert len(piece) == 1 or rows <= 100
