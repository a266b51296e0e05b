"""Read YAML more strictly than usual and check it by a JSON schema, naming every problem with its line.

YAML's conveniences would change money: `NO` is a country and not false, `0123` and `1:30` are not numbers, a date stays
text, and a repeated key is refused, as are aliases (a few lines of them can expand to a billion) and tags.
"""

import re
from collections.abc import Collection
from datetime import date
from pathlib import Path
from typing import Any

import jsonschema
import yaml
from jsonschema import validators
from jsonschema.protocols import Validator

from billing.terms.file_countries import COUNTRY_ALLOWED
from billing.terms.file_csv import read_text, shown
from billing.terms.nearest import nearest
from ingestion.contract.requests import FileRefusedError

Place = tuple[str | int, ...]
BYTES_MAX = 4 * 1024 * 1024
"""The most bytes of one file; a larger one takes minutes to read."""
DEPTH_MAX = 30
"""The most values within each other; the deepest of a schema has fewer than ten."""
KEYS_SHOWN_MAX = 10


def read_checked(file: Path, validator: Validator) -> tuple[Any, dict[Place, int]]:
    """Return a file's document as JSON would have it, and the line of every place in it.

    Raises:
        FileRefusedError: names every problem.
    """
    try:
        node = yaml.compose(read_text(file, BYTES_MAX), Loader=_StrictLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        reason = getattr(error, "problem", None) or "unreadable"
        raise FileRefusedError([f"{file}{place}: not readable as YAML: {reason}"]) from error
    if node is None:
        raise FileRefusedError([f"{file}: the file is empty"])
    lines: dict[Place, int] = {}
    problems: list[str] = []
    document = _value(node, (), lines, problems)
    for breach in validator.iter_errors(document):
        where = tuple(breach.absolute_path)
        problems.append(f"line {lines.get(where, 1)}, {name_of(where)}: {_sentence(breach, where)}")
    if problems:
        raise FileRefusedError([f"{file}, {problem}" for problem in problems])
    return document, lines


def strict_validator(schema: dict[str, Any]) -> Validator:
    """Return a validator for which 2.0 is not an integer and `date` means YYYY-MM-DD."""
    types = jsonschema.Draft202012Validator.TYPE_CHECKER.redefine("integer", _is_integer)
    formats = jsonschema.FormatChecker(formats=())
    formats.checks("date", raises=ValueError)(_is_date)
    strict = validators.extend(jsonschema.Draft202012Validator, type_checker=types)  # type: ignore[no-untyped-call]
    made: Validator = strict(schema, format_checker=formats)
    return made


def name_of(place: Place) -> str:
    """Return a place in the form for messages, e.g. `contracts[0].cards[1]`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{_key_shown(part)}" for part in place)
    return text.lstrip(".") or "the document"


def _key_shown(key: str) -> str:
    return key if key.isprintable() and len(key) <= 64 else shown(key)


class _StrictLoader(yaml.SafeLoader):
    """Knows only plain decimal integers, decimal fractions, true/false and null; everything else is text."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Return the next node; refuse an alias, a tag, and one that is nested too deeply."""
        event: yaml.Event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent):
            raise _refused("an alias; write the value out", event)
        if getattr(event, "tag", None) is not None:
            raise _refused("a tag; write the value without it", event)
        if self.depth == DEPTH_MAX:
            raise _refused(f"nested too deeply; at most {DEPTH_MAX} values may lie within each other", event)
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


def _refused(problem: str, event: yaml.Event) -> yaml.MarkedYAMLError:
    mark: Any = event.start_mark  # pure Python's or libyaml's
    return yaml.MarkedYAMLError(problem=problem, problem_mark=mark)


_StrictLoader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("int", r"(0|-?([1-9][0-9]*|[1-9][0-9]{0,2}(_[0-9]{3})+))$", "-0123456789"),
    ("float", r"-?[0-9][0-9_]*(\.[0-9_]*([eE][-+]?[0-9]+)?|[eE][-+]?[0-9]+)$", "-0123456789"),
    ("bool", r"(true|false)$", "tf"),
    ("null", r"(null|~|)$", ["n", "~", ""]),
):
    _StrictLoader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), list(_first))


def _value(node: yaml.Node, place: Place, lines: dict[Place, int], problems: list[str]) -> Any:
    """Return the node's value as JSON would have it; note the line of every place."""
    lines[place] = node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = str(key_node.value)
            if not isinstance(key_node, yaml.ScalarNode):
                problems.append(f"line {key_node.start_mark.line + 1}, {name_of(place)}: a key is not text")
            elif key in found:
                problems.append(f"line {key_node.start_mark.line + 1}, {name_of((*place, key))}: the key appears twice")
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
    """Refuse 2.0, which JSON schema accepts as an integer."""
    return isinstance(value, int) and not isinstance(value, bool)


def _is_date(value: Any) -> bool:
    if not isinstance(value, str):
        return True  # a wrong type, which is reported by itself
    return bool(re.fullmatch(r"\d{4}-\d{2}-\d{2}", value, re.ASCII)) and bool(date.fromisoformat(value))


def _sentence(error: jsonschema.ValidationError, place: Place) -> str:
    value = repr(error.instance) if len(repr(error.instance)) <= 60 else "the value"
    match error.validator:
        case "type" if "integer" in str(error.validator_value):
            reason = "is a number with a fraction" if isinstance(error.instance, float) else "is not a whole number"
            of_money = ", in micro-units, such as 2500000 for 2.50" if "micros" in name_of(place) else ""
            return f"{value} {reason}; allowed: a whole number{of_money}"
        case "type":
            return f"{value} is not what belongs here; allowed: {_KINDS[str(error.validator_value)]}"
        case "minimum" | "maximum":
            schema: Any = error.schema
            allowed = f"{schema['minimum']} to {schema['maximum']}"
            return f"{value} is out of range; allowed: whole numbers from {allowed}"
        case "format":
            return f"{value} is not a day; allowed: YYYY-MM-DD"
        case "pattern":
            return f"{value} is not one; allowed: {_PATTERNS[str(error.validator_value)]}"
        case "minItems":
            return "the list is empty; allowed: one or more"
        case "uniqueItems":
            return f"{value} names one twice; allowed: each once"
        case "minProperties" | "maxProperties" if place:
            return "allowed: exactly one of graduated and volume"
        case "minProperties" | "required" | "additionalProperties":
            return _about_keys(error)
    return str(error.message)


def _about_keys(error: jsonschema.ValidationError) -> str:
    if error.validator == "minProperties":
        return "the file names nothing; allowed: one value or more"
    if error.validator == "required":
        return f"{error.message.partition(' is a required')[0]} is missing; give it"
    sent: Any = error.instance
    schema: Any = error.schema
    return " and ".join(_unknown(each, schema["properties"]) for each in sent if each not in schema["properties"])


def _unknown(key: str, known: Collection[str]) -> str:
    found = nearest(key, known)
    if found is not None:
        return f"{shown(key)} is not a key here; the nearest is {found!r}"
    allowed = f"allowed: {', '.join(known)}" if len(known) <= KEYS_SHOWN_MAX else "leave it out"
    return f"{shown(key)} is not a key here; {allowed}"


_KINDS = {"object": "keys with values", "array": "a list", "string": "text", "boolean": "true or false"}
_PATTERNS = {
    r"^[A-Z]{3}\Z": "a currency code of ISO 4217, such as USD or EUR",
    r"^[A-Za-z]{2,3}\Z": f"a country, {COUNTRY_ALLOWED}",
    r"^[a-zA-Z0-9_-]{1,64}\Z": "an id, 1 to 64 of A-Z a-z 0-9 _ -",
}
