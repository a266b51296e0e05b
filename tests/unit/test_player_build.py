"""The player library as pages load it."""

import re

from clients.js.build import MINIFIED, SOURCE, minified
from ingestion.contract.event import ADVERTISEMENTS_MAX, VIEW_DURATION_SECONDS_MAX, AdView, ViewEvent
from ingestion.contract.plays import PLAY_FIELD


def names_in(constant: str) -> set[str]:
    found = re.search(rf"^const {constant} = \[(.*?)\];", SOURCE.read_text(), re.MULTILINE | re.DOTALL)
    assert found is not None
    return set(re.findall(r'"(\w+)"', found[1]))


def test_the_library_is_small_and_written_from_its_source() -> None:
    assert MINIFIED.read_text() == minified(), "write it again: python -m clients.js.build"
    assert len(MINIFIED.read_bytes()) < 6_000


def test_the_library_sends_fields_of_the_contract_alone_and_keeps_its_limits() -> None:
    assert names_in("AD_FIELDS") == set(AdView.__struct_fields__)
    assert names_in("FIELDS") <= set(ViewEvent.__struct_fields__) | {PLAY_FIELD}
    assert not names_in("FIELDS") & {"received_at", "client_network", "user_agent"}
    source = SOURCE.read_text()
    assert f"const ADS_MAX = {ADVERTISEMENTS_MAX};" in source
    assert f"const SECONDS_MAX = {VIEW_DURATION_SECONDS_MAX};" in source


def test_every_export_has_its_types() -> None:
    types = SOURCE.with_suffix(".d.ts").read_text()
    exported = re.findall(r"^export class (\w+)", SOURCE.read_text(), re.MULTILINE)
    assert exported == re.findall(r"^export declare class (\w+)", types, re.MULTILINE)
