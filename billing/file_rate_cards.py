"""Reads rates.yaml: checked by a JSON schema, every error named with its line and what is allowed; integers only.

YAML is read more strictly than usual, because its conveniences would change money: `NO` is a country and not false,
`0123` and `1:30` are no numbers, a date stays text, and a key that stands twice is refused.
"""

import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import jsonschema
import yaml
from jsonschema import validators
from jsonschema.protocols import Validator

from billing.currency import CURRENCIES
from billing.errors import FileRefusedError
from billing.file_catalogue import read_text
from billing.rate_cards import RateContract

RATE_MICROS_MAX = 10**12
"""A million units of currency per thousand views; keeps every amount far inside 64 bits."""

_RATE = {"type": "integer", "minimum": 0, "maximum": RATE_MICROS_MAX}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["currency", "rate_cards"],
    "properties": {
        "currency": {"enum": sorted(CURRENCIES)},
        "rate_cards": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["effective_from_on", "rate_per_thousand_micros"],
                "properties": {
                    "effective_from_on": {"type": "string", "format": "date"},
                    "rate_per_thousand_micros": {
                        "type": "object",
                        "additionalProperties": False,
                        "required": ["default"],
                        "properties": {
                            "default": _RATE,
                            "by_country": {
                                "type": "object",
                                "propertyNames": {"pattern": r"^[A-Z]{2}\Z"},
                                "additionalProperties": _RATE,
                            },
                        },
                    },
                },
            },
        },
    },
}

Place = tuple[str | int, ...]


def read_rate_contract(file: Path) -> RateContract:
    """Return the rate contract of a file.

    Raises:
        FileRefusedError: with every problem.
    """
    try:
        node = yaml.compose(read_text(file), Loader=_StrictLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        reason = getattr(error, "problem", None) or "unreadable"
        raise FileRefusedError([f"{file}{place}: not readable as YAML: {reason}"]) from error
    if node is None:
        raise FileRefusedError([f"{file}: the file is empty; allowed: currency and rate_cards"])
    lines: dict[Place, int] = {}
    problems: list[str] = []
    try:
        document = _value(node, (), lines, problems)
    except RecursionError as error:
        raise FileRefusedError([f"{file}: nested too deeply"]) from error
    for breach in _VALIDATOR.iter_errors(document):
        where = tuple(breach.absolute_path)
        problems.append(f"line {lines.get(where, 1)}, {_name(where)}: {_sentence(breach)}")
    problems = problems or list(_same_days(document, lines))
    if problems:
        raise FileRefusedError([f"{file}, {problem}" for problem in problems])
    return RateContract.from_document(document)


class _StrictLoader(yaml.SafeLoader):
    """Knows only plain decimal integers, decimal fractions, true/false and null; everything else is text."""


_StrictLoader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("int", r"-?(0|[1-9][0-9]*(_[0-9]{3})*)$", "-0123456789"),
    ("float", r"-?[0-9][0-9_]*(\.[0-9_]*([eE][-+]?[0-9]+)?|[eE][-+]?[0-9]+)$", "-0123456789"),
    ("bool", r"(true|false)$", "tf"),
    ("null", r"(null|~|)$", ["n", "~", ""]),
):
    _StrictLoader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), list(_first))


def _value(node: yaml.Node, place: Place, lines: dict[Place, int], problems: list[str]) -> Any:
    """Return the node's value as JSON would have it, noting the line of every place."""
    lines[place] = node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = str(key_node.value)
            if key in found:
                problems.append(f"line {key_node.start_mark.line + 1}, {_name((*place, key))}: the key stands twice")
            found[key] = _value(value_node, (*place, key), lines, problems)
        return found
    if isinstance(node, yaml.SequenceNode):
        return [_value(each, (*place, index), lines, problems) for index, each in enumerate(node.value)]
    kind, text = node.tag.rpartition(":")[2], node.value
    if kind == "int" and len(text) < 40:
        return int(text)
    if kind == "float":
        return float(text.replace("_", ""))
    return {"true": True, "false": False}[text] if kind == "bool" else None if kind == "null" else text


def _is_integer(_checker: Any, value: Any) -> bool:
    """Refuse 2.0, which JSON schema takes for an integer."""
    return isinstance(value, int) and not isinstance(value, bool)


def _is_date(value: Any) -> bool:
    if not isinstance(value, str):
        return True  # a breach of the type, which is named by itself
    return bool(re.fullmatch(r"\d{4}-\d{2}-\d{2}", value, re.ASCII)) and bool(date.fromisoformat(value))


def _validator() -> Validator:
    types = jsonschema.Draft202012Validator.TYPE_CHECKER.redefine("integer", _is_integer)
    formats = jsonschema.FormatChecker(formats=())
    formats.checks("date", raises=ValueError)(_is_date)
    strict = validators.extend(jsonschema.Draft202012Validator, type_checker=types)  # type: ignore[no-untyped-call]
    made: Validator = strict(SCHEMA, format_checker=formats)
    return made


_VALIDATOR = _validator()


def _sentence(error: jsonschema.ValidationError) -> str:
    value = repr(error.instance) if len(repr(error.instance)) <= 60 else "the value"
    match error.validator:
        case "type" if error.validator_value == "integer":
            reason = "is a number with a fraction" if isinstance(error.instance, float) else "is not a whole number"
            return f"{value} {reason}; allowed: whole micro-units, such as 2500000 for 2.50"
        case "type":
            return f"{value} is not what belongs here; allowed: {_KINDS[str(error.validator_value)]}"
        case "minimum" | "maximum":
            return f"{value} is out of range; allowed: whole micro-units from 0 to {RATE_MICROS_MAX}"
        case "enum":
            return f"{value} is not a currency; allowed: a code of ISO 4217, such as USD or EUR"
        case "format":
            return f"{value} is not a day; allowed: YYYY-MM-DD"
        case "pattern":
            return f"{value} is not a country; allowed: two capital letters of ISO 3166, such as US"
        case "minItems":
            return "there is no rate card; allowed: one or more"
    return str(error.message)


_KINDS = {"object": "keys with values", "array": "a list", "string": "text"}


def _name(place: Place) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)
    return text.lstrip(".") or "the document"


def _same_days(document: dict[str, Any], lines: dict[Place, int]) -> Iterator[str]:
    first: dict[str, int] = {}
    for index, card in enumerate(document["rate_cards"]):
        day, place = card["effective_from_on"], ("rate_cards", index, "effective_from_on")
        if day in first:
            text = f"{day} is the first day of rate_cards[{first[day]}] too; allowed: each day once"
            yield f"line {lines[place]}, {_name(place)}: {text}"
        first.setdefault(day, index)
