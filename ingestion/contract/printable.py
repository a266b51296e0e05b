"""Decide which texts of people may be kept and shown: names, actors, reasons. Pure.

`str.isprintable` has another purpose (what `repr` escapes): it refuses the joiners that Persian, Hindi and Sinhala
words are spelt with, and the no-break space.
"""

import unicodedata

_REFUSED_CATEGORIES = frozenset({"Cc", "Cs", "Co", "Zl", "Zp"})
"""Controls, surrogates, private-use characters, and separators of lines."""
_REFUSED_FORMATS = frozenset(map(chr, (*range(0x202A, 0x202F), *range(0x2066, 0x206A), *range(0xFFF9, 0xFFFC), 0xFEFF)))
"""They reorder the text around them, hide a part of it, or mark the order of bytes."""
_LINES = dict.fromkeys(map(ord, "\t\r\n"), " ")
_BLANK_LETTERS = frozenset("\u115f\u1160\u2800\u3164\uffa0")
"""Letters and signs by their category that nevertheless show nothing."""


def is_printable(text: str) -> bool:
    """Return whether every character may be shown; true for an empty text."""
    return (text.isascii() and text.isprintable()) or all(map(_may_be_shown, text))


def is_name(text: str, *, most: int) -> bool:
    """Return whether a text has 1 to `most` printable characters, at least one of them visible."""
    return len(text) <= most and is_printable(text) and any(map(_is_seen, text))


def is_text(text: str, *, most: int) -> bool:
    """Return whether a text of several lines has 1 to `most` characters and is printable; the rest as in `is_name`."""
    return len(text) <= most and is_name(text.translate(_LINES), most=most)


def escaped(text: str) -> str:
    """Return a text that is safe for a terminal: unprintable characters become escapes, lines stay lines."""
    if is_printable(text):
        return text
    return "".join(each if each == "\n" or _may_be_shown(each) else ascii(each)[1:-1] for each in text)


def _may_be_shown(character: str) -> bool:
    return not (
        unicodedata.category(character) in _REFUSED_CATEGORIES
        or character in _REFUSED_FORMATS
        or 0xFDD0 <= ord(character) <= 0xFDEF
        or ord(character) & 0xFFFE == 0xFFFE  # no characters in any version of Unicode, and not allowed in XML
        or 0xE0000 <= ord(character) <= 0xE007F  # tags: text that no screen shows
    )


def _is_seen(character: str) -> bool:
    return unicodedata.category(character)[0] not in "CZ" and character not in _BLANK_LETTERS


def counted(count: int, one: str) -> str:
    """Return a number with its noun, `1 event` or `1,234 events`; `one` is the singular, and takes an s."""
    return f"{count:,} {one}" if abs(count) == 1 else f"{count:,} {one}s"
