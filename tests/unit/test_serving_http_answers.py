"""The form of answers, with any content."""

import csv
import io

import pytest
from starlette.requests import Request

from serving_layer.access.access import anonymous
from serving_layer.counts.answers import Envelope
from serving_layer.routes.http_answers import answer

SHARED = Envelope(version=1, settled_until=None, as_of=None, complete=True)


def cells_of(row: dict[str, object]) -> list[str]:
    """The first row of an answer as CSV, without what is shared."""
    request = Request({"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": []})
    made = answer(request, anonymous(reads_counts=True), SHARED, form="csv", rows=[row], columns=list(row))
    return list(csv.reader(io.StringIO(bytes(made.body).decode(), newline="")))[1][: len(row)]


@pytest.mark.parametrize(
    "device",
    ['=HYPERLINK("http://x.example","more")', "+1+cmd|'/C calc'!A0", "-2+3+cmd|' '!A0", "@SUM(1)", "\t=1", "\r=1"],
)
def test_what_a_sender_calls_a_device_is_not_a_formula_in_a_spreadsheet(device: str) -> None:
    assert cells_of({"device": device, "views": 3}) == [f"'{device}", "3"]


def test_ids_and_numbers_stay_as_they_are_whatever_they_begin_with() -> None:
    row = {"video_id": "-JinobXWPk", "change": -3, "device": "tv =1", "is": False, "none": None}
    assert cells_of(row) == ["-JinobXWPk", "-3", "tv =1", "false", ""]
