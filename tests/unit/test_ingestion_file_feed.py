import io

import pytest

from ingestion.contract.event import EVENT_BYTES_MAX
from ingestion.file_feed import Feed, Line, RejectedLine, numbered
from tests.ingestion_fakes import KEY, NOW, FakeEventLog, event_json


def feed(log: FakeEventLog, chunk_lines: int = 3) -> Feed:
    return Feed(log, clock=lambda: NOW, pseudonym_key=KEY, chunk_lines=chunk_lines)


def sent(feeding: Feed, lines: list[Line]) -> list[RejectedLine]:
    return [rejected for chunk in feeding.send(lines) for rejected in chunk]


def lines_of(text: bytes, from_line: int = 1) -> list[Line]:
    return list(numbered(io.BytesIO(text), from_line=from_line))


def test_lines_are_numbered_as_an_editor_does_and_blank_ones_left_out() -> None:
    assert lines_of(b"\xef\xbb\xbfa\r\n\n  \nb") == [Line(1, b"a"), Line(4, b"b")]
    assert lines_of(b"a\nb\nc\n", from_line=2) == [Line(2, b"b"), Line(3, b"c")]


def test_an_endless_line_is_one_line_and_is_not_held_in_memory() -> None:
    first, second = lines_of(b"x" * (5 * EVENT_BYTES_MAX) + b"\nb\n")
    assert len(first.raw) < 2 * EVENT_BYTES_MAX
    assert second == Line(2, b"b")


def test_every_line_is_accepted_or_listed_with_its_number_and_reasons() -> None:
    log, text = FakeEventLog(), b"\n".join([event_json(1), b"{", b"", event_json(2, video_id="#NAME?"), event_json(3)])
    feeding = feed(log)
    rejected = sent(feeding, lines_of(text))
    assert [(each.number, each.reasons[0].code) for each in rejected] == [
        (2, "json_malformed"),
        (4, "video_id_invalid"),
    ]
    assert (feeding.summary.accepted, feeding.summary.rejected, feeding.summary.done_through_line) == (2, 2, 5)
    assert len(log.events) == 2


@pytest.mark.parametrize("appends", [0, 1, 2])
def test_a_feed_that_is_broken_off_says_where_to_resume_and_loses_nothing(appends: int) -> None:
    log, lines = FakeEventLog(), [Line(number, event_json(number)) for number in range(1, 9)]
    log.away_after_appends = appends
    broken = feed(log)
    assert sent(broken, lines) == []
    assert broken.summary.failure == "the broker is away"
    assert broken.summary.done_through_line == 3 * appends == broken.summary.accepted
    log.is_away, log.away_after_appends = False, None
    sent(feed(log), lines[broken.summary.done_through_line :])
    assert sorted(event.event_id for event in log.events) == sorted({event.event_id for event in log.events})
    assert len(log.events) == 8


def test_a_file_without_events_is_done() -> None:
    feeding = feed(FakeEventLog())
    assert sent(feeding, []) == []
    assert feeding.summary.to_json() == {"accepted": 0, "rejected": 0, "done_through_line": 0, "failure": None}
