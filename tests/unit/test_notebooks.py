"""What a notebook is told about wrong days and instants, without any server."""

import sys
from collections.abc import Callable
from datetime import date

import pytest

from batch_layer.published.published_names import QueryError
from ingestion.contract.unavailable import UnavailableError
from jobs.settings.state_home import PROJECT

sys.path.append(str(PROJECT / "analysts"))
import viewledger


@pytest.fixture(autouse=True)
def nobody_answers() -> None:
    viewledger.connect("sc://127.0.0.1:9", "http://127.0.0.1:9")


@pytest.mark.parametrize("read", [viewledger.read_views, viewledger.read_events])
@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"start_on": "2026-13-01"}, "start_on is not a day: '2026-13-01'; give it as 2026-11-24"),
        ({"end_on": "tomorrow"}, "end_on is not a day: 'tomorrow'; give it as 2026-11-24"),
        ({"as_of": "yesterday"}, "as_of is not a day or an instant: 'yesterday'; give a day like 2026-11-24, or "),
        ({"as_of": "2026-02-30"}, "as_of is not a day or an instant: '2026-02-30'; "),
        ({"as_of": "2026-11-24T25:00:00Z"}, "as_of is not a day or an instant: '2026-11-24T25:00:00Z'; "),
        ({"as_of": date.max}, "as_of is not a day or an instant: datetime.date(9999, 12, 31); "),
        ({"as_of": "2026-11-24", "version": 3}, "version and as_of exclude each other"),
    ],
)
def test_a_wrong_day_is_named_with_its_argument_and_what_is_allowed(
    read: Callable[..., object], given: dict[str, object], sentence: str
) -> None:
    with pytest.raises(QueryError) as caught:
        read(**given)
    assert str(caught.value).startswith(sentence)


@pytest.mark.parametrize("given", [{}, {"start_on": "2026-11-01", "as_of": "2026-11-24T12:00:00Z"}, {"version": 3}])
def test_a_server_that_is_away_is_named_with_the_command_that_starts_it(given: dict[str, object]) -> None:
    with pytest.raises(UnavailableError, match=r"127\.0\.0\.1:9/versions does not answer .*\./viewledger run sql"):
        viewledger.read_views(**given)
