"""The parts of `./viewledger sql` that need no server: cutting statements, printing answers, choosing a version."""

import csv
import io
import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest

from ingestion.contract.version import ExpiredVersionError
from jobs.cli import main
from jobs.commands.sql import prompt as sql_prompt
from jobs.commands.sql.output import as_csv, as_json, as_table
from jobs.commands.sql.statements import TypedStatements
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.wiring.sql_version import VersionChoice, chosen_version
from tests.command_lines import parsed
from tests.examples import given, st


def statements(*lines: str) -> list[str]:
    reader = TypedStatements()
    found = [statement for line in lines for statement in reader.feed(line)]
    rest = reader.rest()
    return [*found, rest] if rest else found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("select 1", ["select 1"]),
        ("select 1;", ["select 1"]),
        ("select 1; select 2", ["select 1", "select 2"]),
        ("select ';'; select 2", ["select ';'", "select 2"]),
        ("select 'it''s; '; 2", ["select 'it''s; '", "2"]),
        (r"select '\'; '; 2", [r"select '\'; '", "2"]),
        ('select "a;b"; 2', ['select "a;b"', "2"]),
        ("select `a;b`; 2", ["select `a;b`", "2"]),
        ("select 1 -- one; two\n; 2", ["select 1 -- one; two", "2"]),
        ("select 1 /* a; b */; 2", ["select 1 /* a; b */", "2"]),
        (";;; -- nothing\n;", []),
        ("select 'open; 2", ["select 'open; 2"]),
        ("select 1 /* open; 2", ["select 1 /* open; 2"]),
    ],
)
def test_a_semicolon_ends_a_statement_unless_it_is_quoted(text: str, expected: list[str]) -> None:
    assert statements(text) == expected


@given(st.lists(st.sampled_from(["select 1", "';'", "--x\n", "/*;*/", ";", "\n", " "]), max_size=12))
def test_it_does_not_matter_how_the_text_arrives(parts: list[str]) -> None:
    assert statements(*parts) == statements("".join(parts))


ANSWER = pa.table(
    {
        "video_id": ["-a", 'b,"c"\n'],
        "views": [5, None],
        "share": [Decimal("0.10"), None],
        "at": pa.array([datetime(2026, 11, 25, 2, tzinfo=UTC), None], pa.timestamp("us", "UTC")),
        "day": [date(2026, 11, 25), None],
        "key": [b"\x00\xff", None],
        "reasons": [[{"code": "late", "detail": "ü"}], None],
        "good": [True, None],
    }
)


def test_the_table_has_aligned_columns_and_says_null() -> None:
    lines = as_table(ANSWER.select(["video_id", "views", "day"])).splitlines()
    assert lines == [
        'video_id  views  day',
        '--------  -----  ----------',
        '-a            5  2026-11-25',
        'b,"c"\\n    NULL  NULL',
    ]  # fmt: skip


def test_a_long_value_is_cut_in_the_table_only() -> None:
    long = pa.table({"a": ["x" * 1000]})
    assert len(as_table(long).splitlines()[2]) == 120
    assert "x" * 1000 in as_csv(long)
    assert "x" * 1000 in as_json(long)


def test_csv_can_be_read_back() -> None:
    head, first, second = csv.reader(io.StringIO(as_csv(ANSWER)))
    assert head == ANSWER.column_names
    assert first == [
        "-a", "5", "0.10", "2026-11-25T02:00:00+00:00", "2026-11-25", "00ff",
        '[{"code": "late", "detail": "ü"}]', "true",
    ]  # fmt: skip
    assert second == ['b,"c"\n', *[""] * 7]


def test_json_has_whole_numbers_and_null() -> None:
    big = pa.table({"n": [2**63 - 1], "none": pa.array([None], pa.string())})
    assert json.loads(as_json(big)) == [{"n": 2**63 - 1, "none": None}]
    assert json.loads(as_json(ANSWER))[0]["reasons"] == [{"code": "late", "detail": "ü"}]


def test_json_cannot_hold_two_columns_of_one_name() -> None:
    twice = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])
    with pytest.raises(CommandError, match="two columns are called 'a'"):
        as_json(twice)


def test_an_answer_without_columns_is_done() -> None:
    assert as_table(pa.table({})) == "done"
    assert (as_csv(pa.table({})), as_json(pa.table({}))) == ("", "[]")


class Published:
    """Versions 1 to 3, published at noon of the 20th, 21st and 22nd."""

    def __init__(self, count: int = 3, expired: int | None = None) -> None:
        self.count, self.expired = count, expired

    def check_kept(self, version: int) -> None:
        if version == self.expired:
            raise ExpiredVersionError(version, datetime(2026, 12, 31, tzinfo=UTC), version + 1)

    def current(self) -> int | None:
        return self.count or None

    def published_at(self) -> dict[int, datetime]:
        return {number: datetime(2026, 11, 19 + number, 12, tzinfo=UTC) for number in range(1, self.count + 1)}


def choose(version: str | None = None, as_of: str | None = None, *, count: int = 3, expired: int | None = None) -> int:
    _, params = parsed(["sql", *(["--version", version] if version else []), *(["--as-of", as_of] if as_of else [])])
    choice = VersionChoice.of(params["version"], params["as_of"])
    return chosen_version(Published(count, expired), choice)  # type: ignore[arg-type]


@pytest.mark.parametrize(("version", "as_of"), [("2", None), (None, "2026-11-21")])
def test_a_version_that_expired_is_refused_and_no_other_is_taken_for_it(version: str | None, as_of: str | None) -> None:
    with pytest.raises(CommandError, match=r"version 2 is no longer kept.*next version that is kept is 3") as refused:
        choose(version, as_of, expired=2)
    assert refused.value.code == ExitCode.BAD_INPUT


@pytest.mark.parametrize(
    ("version", "as_of", "expected"),
    [
        (None, None, 3),
        ("2", None, 2),
        (None, "2026-11-21", 2),
        (None, "2026-11-20T11:59:59Z", None),
        (None, "2026-11-20T12:00:01+00:00", 1),
        (None, "2026-11-22T13:00:00+02:00", 2),
        (None, "2099-01-01", 3),
    ],
)
def test_a_version_is_chosen_by_number_or_by_when_it_was_in_force(
    version: str | None, as_of: str | None, expected: int | None
) -> None:
    if expected is None:
        with pytest.raises(
            CommandError, match=r"nothing was published by then; version 1 is of 2026-11-20 12:00:00 UTC"
        ):
            choose(version, as_of)
    else:
        assert choose(version, as_of) == expected


@pytest.mark.parametrize(
    ("version", "as_of", "sentence"),
    [
        ("4", None, "version 4 was not published; there are 1 to 3"),
        ("0", None, "--version is out of range: 0"),
        ("-1", None, "--version is out of range: -1"),
        ("١", None, "--version is not a whole number: '١'"),
        ("1; drop", None, "--version is not a whole number: '1; drop'"),
        (None, "yesterday", "give a day like 2026-11-24"),
        (None, "2026-02-30", "give a day like"),
        (None, "9999-12-31", "in the years from 1970 to 9998"),
        (None, "2026-11-20T12:00:00", "or an instant with its zone"),
        ("1", "2026-11-20", "exclude each other"),
    ],
)
def test_a_wrong_version_or_day_is_one_sentence(version: str | None, as_of: str | None, sentence: str) -> None:
    with pytest.raises(CommandError) as caught:
        choose(version, as_of)
    assert sentence in str(caught.value)
    assert caught.value.code is ExitCode.BAD_INPUT


def test_before_the_first_publication_there_is_nothing_to_ask() -> None:
    with pytest.raises(CommandError) as caught:
        choose(count=0)
    assert caught.value.code is ExitCode.REFUSED


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["sql", ""], "the statement is empty"),
        (["sql", " ; -- x"], "the statement is empty"),
        (["sql", "select 1", "--limit", "-1"], "--limit is out of range: -1"),
        (["sql", "select 1", "--as-of", "x"], "--as-of is not a day or an instant: 'x'"),
    ],
)
def test_wrong_words_are_found_before_anything_is_started(
    words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == ExitCode.BAD_INPUT
    assert sentence in capsys.readouterr().err


class Terminal:
    """Lines that a user types; an exception stands for a key like Ctrl-C."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *lines: str | BaseException) -> None:
        self.prompts: list[str] = []
        self.lines = list(lines)
        monkeypatch.setattr("builtins.input", self.read)

    def read(self, text: str) -> str:
        self.prompts.append(text)
        line = self.lines.pop(0) if self.lines else EOFError()
        if isinstance(line, BaseException):
            raise line
        return line


def typed(monkeypatch: pytest.MonkeyPatch, folder: Path, *lines: str | BaseException) -> tuple[list[str], list[str]]:
    """What was answered, and the prompts that were shown."""
    terminal, answered = Terminal(monkeypatch, *lines), list[str]()

    def answer(statement: str) -> None:
        answered.append(statement)
        if "wrong" in statement:
            raise CommandError("that was wrong", ExitCode.BAD_INPUT)

    sql_prompt.prompt(answer, folder / "history")
    return answered, terminal.prompts


def test_a_statement_may_have_several_lines(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    answered, prompts = typed(monkeypatch, tmp_path, "select", " 1", ";", "select 2; select 3;")
    assert answered == ["select\n 1", "select 2", "select 3"]
    assert prompts == ["sql> ", "...> ", "...> ", "sql> ", "sql> "]


def test_a_wrong_statement_does_not_end_the_prompt(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answered, _ = typed(monkeypatch, tmp_path, "wrong;", "select 1;", "\\x", "\\?", "\\q", "select 2;")
    assert answered == ["wrong", "select 1"]
    shown = capsys.readouterr().err
    assert shown.startswith("that was wrong\nthere is no \\x; \\? shows what there is\n")
    assert "Ctrl-D leaves" in shown


def test_ctrl_c_drops_what_was_typed_and_shortcuts_describe(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    answered, _ = typed(monkeypatch, tmp_path, "select 'never", KeyboardInterrupt(), "\\d", "\\d events;", "select 1;")
    assert answered == ["SHOW TABLES", "DESCRIBE TABLE events", "select 1"]
    assert (tmp_path / "history").stat().st_mode & 0o777 == 0o600
