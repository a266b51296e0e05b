"""Names of people in every script are names; what hides or reorders a text is not."""

import json
import logging
import sys

import pytest

from ingestion.contract.printable import counted, is_name, is_printable, is_text
from jobs.telemetry.json_log import JsonLines

NAMES = {
    "English": "Ann O'Neil",
    "Persian with a non-joiner": "علی‌رضا میرزایی",
    "Hindi with a joiner": "क्‍षमा",
    "Sinhala with a joiner": "ශ්‍රී ලංකා",
    "French with a no-break space": "Société\u00a0Générale",
    "French with a narrow no-break space": "Quoi\u202f?",
    "Hebrew with a right-to-left mark": "שלום\u200f!",
    "Japanese with an ideographic space": "山田\u3000太郎",
    "Japanese with a variant of a character": "葛\U000e0100城",
    "Emoji joined to one": "👩‍🚀",
    "Decomposed": "Zoe\u0308",
}
NO_NAMES = {
    "empty": "",
    "blank": " ",
    "no-break spaces alone": "\u00a0\u00a0",
    "a joiner alone": "\u200d",
    "a blank letter alone": "\u3164",
    "NUL": "ann\0",
    "a line feed": "ann\nbob",
    "an escape sequence": "ann\x1b[2J",
    "DEL": "ann\x7f",
    "a control of the second row": "ann\x9b2J",
    "a line separator": "ann\u2028bob",
    "a paragraph separator": "ann\u2029bob",
    "half a character": "ann\ud800",
    "private use": "ann\ue000",
    "a right-to-left override": "ann\u202egpj.exe",
    "an isolate": "\u2066ann\u2069",
    "a byte order mark": "\ufeffann",
    "no character": "ann\uffff",
    "a hidden tag": "ann\U000e0041",
    "an interlinear annotation": "ann\ufff9",
    "too long": "a" * 71,
}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES.keys())
def test_a_name_in_any_script_is_a_name(name: str) -> None:
    assert is_name(name, most=70)


@pytest.mark.parametrize("name", NO_NAMES.values(), ids=NO_NAMES.keys())
def test_what_cannot_be_seen_or_hides_a_text_is_not_a_name(name: str) -> None:
    assert not is_name(name, most=70)


def test_every_character_that_python_prints_is_printable() -> None:
    assert not [each for each in map(chr, range(sys.maxunicode + 1)) if each.isprintable() and not is_printable(each)]


def test_no_control_character_is_printable() -> None:
    for number in (*range(0x20), *range(0x7F, 0xA0)):
        assert not is_printable(f"a{chr(number)}")


def test_a_text_may_have_lines_and_a_name_may_not() -> None:
    assert is_text("two videos\r\n\tare missing", most=100)
    assert not is_name("two videos\nare missing", most=100)


@pytest.mark.parametrize("text", ["", "\n", "a\x1b[31m", "a\0", "a\u202e", "aaaaa"])
def test_a_text_needs_something_to_read_and_nothing_that_steers_a_screen(text: str) -> None:
    assert not is_text(text, most=4)


def test_a_log_line_steers_no_screen_and_is_always_one_line() -> None:
    record = logging.LogRecord("x", logging.INFO, "", 0, "said", None, None)
    record.fields = {"reason": "a\x1b\x9b\u2028\u202e\ud800\nb"}
    line = JsonLines().format(record)
    assert line.isprintable()
    line.encode()
    assert json.loads(line)["reason"] == record.fields["reason"]


def test_a_noun_follows_its_number() -> None:
    assert [counted(number, "event") for number in (0, 1, 2, -1, 1_234)] == [
        "0 events",
        "1 event",
        "2 events",
        "-1 event",
        "1,234 events",
    ]
