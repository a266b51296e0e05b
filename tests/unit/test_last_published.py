from datetime import UTC, datetime

import pytest

from ingestion.contract.offsets import OffsetVector
from ingestion.contract.unavailable import Part, UnavailableError
from speed_layer.last_published import LastPublished
from speed_layer.ports import Published

FIRST = Published(OffsetVector("views", (3,)), (datetime(2026, 11, 20, tzinfo=UTC),))


class Source:
    """Answers what the test sets, or is away."""

    def __init__(self, answer: Published | None) -> None:
        self.answer = answer
        self.is_away = False

    def current(self) -> Published | None:
        if self.is_away:
            raise UnavailableError(Part.POSTGRES, "PostgreSQL: away")
        return self.answer


@pytest.mark.parametrize("answer", [FIRST, None])
def test_while_the_source_is_away_its_last_answer_stands(answer: Published | None) -> None:
    source = Source(answer)
    published = LastPublished(source)
    assert published.current() == answer
    source.is_away, source.answer = True, None
    assert published.current() == answer
    source.is_away = False
    assert published.current() is None


def test_a_source_that_never_answered_leaves_it_unknown() -> None:
    source = Source(FIRST)
    source.is_away = True
    published = LastPublished(source)
    with pytest.raises(UnavailableError):
        published.current()
