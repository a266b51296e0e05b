"""Cutting a poll into spans, and judging one."""

from datetime import timedelta
from uuid import UUID

import pytest

from ingestion.contract.event_contracts import EventContracts
from ingestion.contract.offsets import OffsetVector
from speed_layer.chunk import instant_of, judge, spans
from speed_layer.ports import Published
from tests.speed_fakes import START, START_MS, FakeRecord, event_value

GENERATION_MS = 3_600_000


def records_at(*places: tuple[int, int]) -> list[FakeRecord]:
    """Records by (offset, generation)."""
    return [FakeRecord(offset, generation * GENERATION_MS + 5, b"") for offset, generation in places]


def cut(
    places: list[tuple[int, int]], *, position: int, end: int, segment: int
) -> list[tuple[int, int, int, list[int]]]:
    found = spans(
        records_at(*places), partition=3, offsets=(position, end), segment=segment, generation_ms=GENERATION_MS
    )
    assert all(span.partition == 3 for span in found)
    return [
        (span.position, span.next_position, span.generation, [record.offset for record in span.records])
        for span in found
    ]


@pytest.mark.parametrize(
    ("places", "position", "end", "segment", "expected"),
    [
        ([(4, 7), (5, 7)], 4, 6, 0, [(4, 6, 7, [4, 5])]),
        ([(4, 7), (9, 7)], 2, 10, 0, [(2, 10, 7, [4, 9])]),
        ([(4, 7), (6, 8)], 4, 9, 0, [(4, 5, 7, [4]), (5, 9, 8, [6])]),
        ([(4, 8), (5, 7), (6, 8)], 4, 7, 0, [(4, 7, 8, [4, 5, 6])]),
        ([(4, 7), (5, 9), (6, 8)], 4, 7, 0, [(4, 5, 7, [4]), (5, 7, 9, [5, 6])]),
        ([(4, 7), (6, 7)], 4, 7, 5, [(4, 5, 7, [4]), (5, 7, 7, [6])]),
        ([(6, 7)], 4, 7, 5, [(4, 5, 0, []), (5, 7, 7, [6])]),
        ([(4, 7)], 4, 5, 5, [(4, 5, 7, [4])]),
        ([], 4, 9, 6, [(4, 6, 0, []), (6, 9, 0, [])]),
        ([], 4, 9, 0, [(4, 9, 0, [])]),
    ],
    ids=[
        "usually one span",
        "gaps belong to the span",
        "a generation ends",
        "a clock that went back within a generation's records is passed over",
        "a generation never goes back",
        "the segment starts in the middle",
        "the segment starts in a gap before the first record",
        "everything lies before the segment",
        "no record at all, over the segment start",
        "no record at all",
    ],
)
def test_spans_cover_the_offsets_and_cross_neither_generation_nor_segment_start(
    places: list[tuple[int, int]],
    position: int,
    end: int,
    segment: int,
    expected: list[tuple[int, int, int, list[int]]],
) -> None:
    assert cut(places, position=position, end=end, segment=segment) == expected


def judged(*values: bytes | None, append_times: tuple[int, ...] = ()) -> tuple[list[int], int, list[str], int]:
    times = append_times or (START_MS,) * len(values)
    records = [FakeRecord(index, time, value) for index, (time, value) in enumerate(zip(times, values, strict=True))]
    (span,) = spans(records, partition=0, offsets=(0, len(records)), segment=0, generation_ms=10**12)
    chunk = judge(span, EventContracts.of_new_log("views"))
    ids = [UUID(bytes=event_id).int for event_id in chunk.candidates]
    return ids, chunk.late, [each.event.reasons[0].code for each in chunk.rejections], chunk.duplicates


def event(number: int, *, after: timedelta = timedelta()) -> bytes:
    return event_value(UUID(int=number), "video", START + after)


def test_events_of_one_chunk_are_judged_each_by_its_own_append_time() -> None:
    bounds = (
        timedelta(minutes=5),
        timedelta(minutes=5, seconds=1),
        -timedelta(days=35),
        -timedelta(days=35, seconds=1),
    )
    values = [event(number, after=after) for number, after in enumerate(bounds)]
    assert judged(*values) == ([0, 2], 1, ["clock_suspect"], 0)
    later = START_MS + 1_000
    assert judged(*values, append_times=(later,) * 4) == ([0, 1], 2, [], 0)
    assert judged(*values, append_times=(later, START_MS, later, later)) == ([0], 2, ["clock_suspect"], 0)


def test_each_message_is_read_by_the_event_contract_at_its_place() -> None:
    before_1970 = event(7, after=-timedelta(days=60 * 365))
    upgraded = EventContracts().followed_by_newest(OffsetVector("views", (2,)))
    records = [FakeRecord(offset, START_MS, before_1970) for offset in range(4)]
    (span,) = spans(records, partition=0, offsets=(0, 4), segment=0, generation_ms=10**12)
    chunk = judge(span, upgraded)
    assert (chunk.late, [each.record.offset for each in chunk.rejections]) == (2, [2, 3])
    published = Published(OffsetVector("views", (2,)), (START,))
    assert published.contracts_from_here == upgraded, "as the next batch run will say"


def test_a_country_that_is_none_is_counted_apart() -> None:
    texts = enumerate(["us", "xx", "", "ZZ"])
    values = [event(number)[:-1] + f',"geo_location":"{text}"}}'.encode() for number, text in texts]
    records = [FakeRecord(offset, START_MS, value) for offset, value in enumerate(values)]
    (span,) = spans(records, partition=0, offsets=(0, 4), segment=0, generation_ms=10**12)
    chunk = judge(span, EventContracts.of_new_log("views"))
    assert (len(chunk.candidates), chunk.unknown_countries) == (4, 1)


def test_the_id_of_invalid_traffic_is_remembered_and_its_session_is_not_a_viewers() -> None:
    values = [event_value(UUID(int=1), "video", agent="Googlebot/2.1"), event(1), event(2)]
    records = [FakeRecord(offset, START_MS, value) for offset, value in enumerate(values)]
    (span,) = spans(records, partition=0, offsets=(0, 3), segment=0, generation_ms=10**12)
    chunk = judge(span, EventContracts.of_new_log("views"))
    assert (len(chunk.candidates), chunk.duplicates, len(chunk.sessions)) == (2, 1, 1)
    assert set(chunk.invalid) == {UUID(int=1).bytes}
    before = EventContracts().followed_by_newest(OffsetVector("views", (3,)))
    assert not judge(span, before).invalid, "what was counted by an older contract stays"


def test_of_one_id_the_first_is_the_candidate() -> None:
    assert judged(event(1), event(2), event(1), event(1)) == ([1, 2], 0, [], 2)


def test_a_tombstone_and_garbage_are_rejected_and_never_raise() -> None:
    assert judged(None, b"", b"\xff", b"[]") == (
        [],
        0,
        ["json_malformed", "json_malformed", "json_malformed", "json_not_an_object"],
        0,
    )


def test_a_timestamp_of_the_broker_is_kept_to_the_millisecond() -> None:
    assert instant_of(START_MS + 123) == START + timedelta(milliseconds=123)
