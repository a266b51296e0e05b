"""Whatever text names an instant or a day, as a parameter or a flag: an answer or one clear refusal, never a trace."""

import random
from collections.abc import Callable
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import click
import pytest

from ingestion.contract.instants import EARLIEST, LATEST_BEFORE, day_of_text, in_utc, instant_of
from ingestion.contract.periods import Period
from jobs.command_line.values import BillingPeriod, Day, DayOrAll, EndOfDayOrInstant
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from serving_layer.problems.problems import ProblemError
from serving_layer.request.cursors import Cursors
from serving_layer.request.parameters import as_of_instant, at_version, canonical, day, series_query, top_query
from serving_layer.request.windows import WindowKind
from tests.extreme_events import INSTANTS

SEED = 20261128
NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
DAYS = [
    "0001-01-01", "1969-12-31", "1970-01-01", "2026-02-30", "9998-12-31", "9999-12-31", "20261101", "2026-W45-1",
    "2026-305", "\uff12026-11-01", "2026-11-01\n", "-2026-11-01", "0", "all", "2026-11", "0001-01", "9998-12",
    "9999-12",
    "2026-11-01/2026-11-02", "9998-12-30/9999-12-31", "0001-01-01/9999-12-31", "\0", "\udcff",
]  # fmt: skip
TEXTS = [*INSTANTS, *DAYS, "9" * 5_000, "2026-11-21T10:00:00." + "1" * 5_000 + "Z", "x" * 100_000]


def mutated(rng: random.Random) -> str:
    text = list(rng.choice([*INSTANTS, *DAYS]))
    for _ in range(rng.randrange(4)):
        at = rng.randrange(len(text) + 1)
        text[at : at + rng.randrange(2)] = rng.choice("0123456789-+:.TZ/ \u0661e")
    return "".join(text)


def texts() -> list[str]:
    rng = random.Random(SEED)
    return [*TEXTS, *(mutated(rng) for _ in range(3_000))]


def as_of(text: str) -> object:
    return at_version(None, as_of_instant(text), sent=text, now=NOW).as_of


def ranking(text: str) -> object:
    return top_query("views", day("from", "2026-11-01")(text), date(2026, 12, 1))


def series(text: str) -> object:
    return series_query(text, "2026-12-01", WindowKind.DAY, zone=ZoneInfo("Pacific/Kiritimati"))


def flag(kind: click.ParamType[object, str]) -> Callable[[str], object]:
    return lambda text: kind.convert(text, None, None)


READERS: list[tuple[Callable[[str], object], type[Exception]]] = [
    (instant_of, ValueError),
    (day_of_text, ValueError),
    (Period.parse, ValueError),
    (as_of, ProblemError),
    (ranking, ProblemError),
    (series, ProblemError),
    (flag(EndOfDayOrInstant()), click.BadParameter),
    (flag(DayOrAll()), click.BadParameter),
    (flag(Day()), click.BadParameter),
    (flag(BillingPeriod()), click.BadParameter),
]


@pytest.mark.parametrize(("read", "refusal"), READERS)
def test_a_text_is_read_or_refused(read: Callable[[str], object], refusal: type[Exception]) -> None:
    answered, refused = 0, list[Exception]()
    for text in texts():
        try:
            found = read(text)
        except refusal as error:
            refused.append(error)
            continue
        answered += 1
        if isinstance(found, datetime):
            assert found.tzinfo is UTC, text
            assert EARLIEST <= found <= LATEST_BEFORE, text
    assert answered, "some are read"
    assert refused, "some are refused"
    assert all(each.code is ExitCode.BAD_INPUT for each in refused if isinstance(each, CommandError))


def test_an_instant_is_one_whatever_its_zone_and_has_bounds() -> None:
    assert instant_of("2026-11-01T01:00:00+01:00") == instant_of("2026-11-01T00:00:00Z")
    assert instant_of("2026-10-31T23:59:59.9999999Z").month == 10
    for outside in ("0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00", "1970-01-01T00:00:00+00:01"):
        with pytest.raises(ValueError, match="in the years from 1970 to 9998"):
            in_utc(datetime.fromisoformat(outside))


def test_a_cursor_belongs_to_one_question_even_where_a_value_looks_like_two_parameters() -> None:
    one = canonical([("from", "a&timezone=b"), ("to", "c")])
    other = canonical([("from", "a"), ("timezone", "b"), ("to", "c")])
    assert one != other
    cursor = Cursors(b"k" * 32).text(one, 1, 5)
    with pytest.raises(ProblemError):
        Cursors(b"k" * 32).read(other, cursor)
