"""Read ISO 20022 documents of a bank safely: no document type, so no entity, and a bound on their size."""

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import NoReturn
from xml.etree.ElementTree import Element, ParseError, TreeBuilder, XMLParser

from billing.money import MICROS
from ingestion.contract.printable import is_printable
from ingestion.contract.requests import FileRefusedError

BYTES_MAX = 64 << 20
TEXT_CHARACTERS_MAX = 500
ALLOWED = (
    "a file of the bank is a payment status report (pain.002.001.03 to pain.002.001.14), an account statement "
    "(camt.053.001.02 to camt.053.001.13) or notification (camt.054.001.02 to camt.054.001.13), or CSV"
)


class _Builder(TreeBuilder):
    """Refuses a document type, and with it every entity, before reading it."""

    def doctype(self, name: str, pubid: str | None, system: str | None) -> NoReturn:
        raise FileRefusedError([f"a file of the bank has no document type (<!DOCTYPE …>); {ALLOWED}"])


@dataclass(frozen=True)
class Document:
    """An ISO 20022 document, read and not yet understood."""

    file: str
    kind: str
    """Like `pain.002.001.03`; for a document of another family, what it calls itself."""
    root: Element


def read_document(file: str, content: bytes) -> Document:
    """Return the document in a file.

    Raises:
        FileRefusedError: it is not readable as XML, too large, or has a document type.
    """
    if len(content) > BYTES_MAX:
        raise FileRefusedError([f"{file}: {len(content)} bytes; a file of the bank has at most {BYTES_MAX}"])
    parser = XMLParser(target=_Builder())  # noqa: S314  a document type is refused, so there are no entities
    try:
        parser.feed(content.lstrip())
        root: Element = parser.close()
    except FileRefusedError as error:
        raise FileRefusedError([f"{file}: {problem}" for problem in error.problems]) from error
    except (ParseError, ValueError, LookupError) as error:  # the latter two: an unknown encoding
        raise FileRefusedError([f"{file}: not readable as XML: {error}; {ALLOWED}"]) from error
    namespace, _, tag = root.tag.rpartition("}")
    kind = namespace.removeprefix("{").removeprefix("urn:iso:std:iso:20022:tech:xsd:")
    return Document(file, (kind if kind and tag == "Document" else kind.rpartition(":")[2] or tag)[:60], root)


class Iso20022Reader:
    """Finds parts of a document by their names, and notes every problem."""

    def __init__(self, document: Document) -> None:
        self.name = document.file
        self.problems: list[str] = []
        self._namespace = document.root.tag.rpartition("}")[0] + "}"

    def children(self, node: Element | None, *names: str) -> list[Element]:
        """Return the parts at a place, in their order."""
        return [] if node is None else node.findall(self._path(*names))

    def child(self, node: Element | None, *names: str) -> Element | None:
        """Return the first part at a place; None if there is none."""
        return None if node is None else node.find(self._path(*names))

    def text(self, node: Element | None, *names: str) -> str:
        """Return the text of a part without the blanks around it; "" if there is none."""
        found = self.child(node, *names) if names else node
        return "" if found is None else (found.text or "").strip()

    def printable(self, texts: list[str]) -> str:
        """Return texts as one, without what cannot be shown."""
        text = " ".join(" ".join(filter(None, texts)).split())
        return "".join(filter(is_printable, text))[:TEXT_CHARACTERS_MAX]

    def amount(self, node: Element | None, place: str) -> int | None:
        """Return an amount as XML writes decimals (at most 18 digits, 5 of them after the point); None for none."""
        if node is None:
            return None
        text = self.text(node)
        if re.fullmatch(r"\+?(?=.?[0-9])[0-9]{0,15}(\.[0-9]{0,6}0{0,12})?", text) is None:
            self.problems.append(f"{place}: {text[:40]!r} is not an amount like 12.34")
            return None
        return int(Decimal(text) * MICROS)

    def _path(self, *names: str) -> str:
        return "/".join(self._namespace + name for name in names)
