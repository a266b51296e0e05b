"""Versions of the event contract: which is in force where, and that what is counted keeps its own."""

import pytest

from ingestion.contract.event_contracts import BEFORE_VERSIONS, NEWEST, OLDEST, Boundary, EventContracts
from ingestion.contract.offsets import OffsetVector

BOUNDARY = OffsetVector("views", (5, 0, 7))
UPGRADED = BEFORE_VERSIONS.followed_by_newest(BOUNDARY)


def test_what_was_counted_before_versions_were_named_is_read_by_the_oldest() -> None:
    assert {BEFORE_VERSIONS.version_at(partition, offset) for partition in range(3) for offset in range(9)} == {OLDEST}


def test_a_log_of_which_nothing_was_counted_is_read_by_the_newest_from_its_beginning() -> None:
    contracts = EventContracts.of_new_log("views", 3)
    assert {contracts.version_at(partition, 0) for partition in range(3)} == {NEWEST}


def test_the_newest_is_in_force_from_the_offsets_of_the_boundary_on() -> None:
    assert [UPGRADED.version_at(0, offset) for offset in (0, 4, 5, 6)] == [OLDEST, OLDEST, NEWEST, NEWEST]
    assert UPGRADED.version_at(1, 0) == NEWEST
    assert UPGRADED.version_at(2, 6) == OLDEST


def test_a_partition_that_was_added_later_is_read_by_the_newest() -> None:
    assert UPGRADED.version_at(3, 0) == NEWEST


def test_a_boundary_once_set_stays_where_it_is() -> None:
    assert UPGRADED.followed_by_newest(OffsetVector("views", (50, 50, 70))) == UPGRADED


def test_the_manifest_gives_back_what_was_written_into_it() -> None:
    assert EventContracts.from_json(UPGRADED.to_json()) == UPGRADED
    assert EventContracts.from_json(None) == BEFORE_VERSIONS
    assert BEFORE_VERSIONS.to_json() == []


@pytest.mark.parametrize("versions", [(NEWEST + 1,), (NEWEST, OLDEST), (NEWEST, NEWEST), (0,)])
def test_a_contract_that_this_program_does_not_know_is_refused(versions: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="known are 1 to"):
        EventContracts(tuple(Boundary(version, BOUNDARY) for version in versions))
