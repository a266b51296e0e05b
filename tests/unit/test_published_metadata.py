"""What of a table's metadata is shown to analysts, and the read-only catalogue that answers it over HTTP."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from starlette.testclient import TestClient

from batch_layer.published.http_published_catalog import READS, PublishedCatalog, catalog_app
from batch_layer.published.published_metadata import MissingSnapshotError, PublishedSnapshot, published_metadata
from ingestion.contract.unavailable import Part, UnavailableError
from ingestion.contract.version import ExpiredVersionError
from tests.examples import given, st

FIRST_AT = datetime(2026, 11, 20, 12, tzinfo=UTC)


def metadata(snapshot_ids: Sequence[int]) -> dict[str, Any]:
    """A table with these snapshots, each on a run's branch, the last of them also `main`."""
    return {
        "format-version": 2,
        "table-uuid": "a",
        "location": "hdfs://names/warehouse/events",
        "current-snapshot-id": snapshot_ids[-1] if snapshot_ids else -1,
        "snapshots": [{"snapshot-id": each, "manifest-list": f"hdfs://list-{each}"} for each in snapshot_ids],
        "refs": {f"run_{each}": {"snapshot-id": each, "type": "branch"} for each in snapshot_ids},
        "snapshot-log": [{"snapshot-id": each, "timestamp-ms": each} for each in snapshot_ids],
        "metadata-log": [{"metadata-file": "hdfs://names/warehouse/events/metadata/1.json", "timestamp-ms": 1}],
        "statistics": [{"snapshot-id": each, "statistics-path": "hdfs://s"} for each in snapshot_ids],
        "partition-statistics": [{"snapshot-id": each} for each in snapshot_ids],
    }


def published(*snapshot_ids: int) -> list[PublishedSnapshot]:
    """Versions 1, 2, … with these snapshots, an hour apart."""
    return [
        PublishedSnapshot(number, FIRST_AT + timedelta(hours=number - 1), snapshot_id)
        for number, snapshot_id in enumerate(snapshot_ids, start=1)
    ]


@given(st.lists(st.integers(10**18, 10**19 - 1), unique=True, min_size=1, max_size=12), st.data())
def test_no_unpublished_snapshot_is_named_anywhere(snapshot_ids: list[int], data: st.DataObject) -> None:
    chosen = data.draw(st.lists(st.sampled_from(snapshot_ids), min_size=1, max_size=len(snapshot_ids), unique=True))
    shown = repr(published_metadata(metadata(snapshot_ids), published(*chosen)))
    assert not [hidden for hidden in set(snapshot_ids) - set(chosen) if str(hidden) in shown]
    assert "run_" not in shown
    assert "metadata-file" not in shown
    assert all(f"list-{each}" in shown for each in chosen)


def test_main_is_the_last_version_and_each_version_is_a_tag() -> None:
    shown = published_metadata(metadata([10, 20, 30]), published(10, 30))
    assert shown["current-snapshot-id"] == 30
    assert {name: ref["snapshot-id"] for name, ref in shown["refs"].items()} == {"main": 30, "v1": 10, "v2": 30}


def test_the_history_has_the_instants_of_publication() -> None:
    log = published_metadata(metadata([10, 20]), published(10, 20))["snapshot-log"]
    assert [entry["timestamp-ms"] for entry in log] == [1_795_608_000_000 - 432_000_000 + 3_600_000 * n for n in (0, 1)]


def test_two_versions_with_one_snapshot_show_it_once() -> None:
    shown = published_metadata(metadata([10]), published(10, 10))
    assert len(shown["snapshots"]) == 1
    assert set(shown["refs"]) == {"main", "v1", "v2"}


@pytest.mark.parametrize("is_removed", [False, True])
def test_an_expired_version_has_no_tag_and_stays_in_the_history_whether_its_snapshot_is_removed_or_not(
    is_removed: bool,
) -> None:
    versions = [replace(published(10)[0], is_kept=False), published(10, 20)[1]]
    shown = published_metadata(metadata([20] if is_removed else [10, 20]), versions)
    assert set(shown["refs"]) == {"main", "v2"}
    assert [each["snapshot-id"] for each in shown["snapshots"]] == [20]
    assert [each["snapshot-id"] for each in shown["snapshot-log"]] == [10, 20]


def test_a_version_whose_own_snapshot_is_gone_cannot_be_shown() -> None:
    with pytest.raises(MissingSnapshotError, match="version 1 is no longer kept"):
        published_metadata(metadata([20]), published(10))


def test_a_version_that_is_older_than_the_table_is_named() -> None:
    older = replace(published(10)[0], snapshot_id=None)
    with pytest.raises(MissingSnapshotError, match="version 1 is of a release without it"):
        published_metadata(metadata([20]), [older])


class Snapshots:
    """The port `PublishedSnapshots` in memory."""

    def __init__(self, snapshots: Sequence[PublishedSnapshot]) -> None:
        self.snapshots = snapshots

    def current(self) -> int | None:
        return self.snapshots[-1].version if self.snapshots else None

    def versions(self) -> Sequence[int]:
        return [each.version for each in self.snapshots if each.is_kept]

    def check_kept(self, version: int) -> None:
        if not self.snapshots[version - 1].is_kept:
            raise ExpiredVersionError(version, FIRST_AT, version + 1)

    def of_table(self, table: str, version: int) -> Sequence[PublishedSnapshot]:
        return [each for each in self.snapshots if each.version <= version]


def no_server(table: str) -> Mapping[str, Any]:
    raise UnavailableError(Part.HDFS, "HDFS does not answer")


def client(*, snapshots: Sequence[PublishedSnapshot] = (), is_up: bool = True) -> TestClient:
    metadata_of = (lambda table: metadata([10, 20, 30])) if is_up else no_server
    return TestClient(catalog_app(PublishedCatalog(["events", "tally"], Snapshots(snapshots), metadata_of)))


BOTH = published(10, 20)


def test_there_is_a_namespace_for_the_pointer_and_one_for_each_version() -> None:
    assert client(snapshots=BOTH).get("/v1/namespaces").json() == {"namespaces": [["current"], ["v1"], ["v2"]]}
    assert client().get("/v1/namespaces").json() == {"namespaces": []}
    assert client(snapshots=BOTH).get("/v1/namespaces?parent=v1").json() == {"namespaces": []}


def test_a_namespace_of_a_version_does_not_know_later_ones() -> None:
    ask = client(snapshots=BOTH)
    assert set(ask.get("/v1/namespaces/v1/tables/events").json()["metadata"]["refs"]) == {"main", "v1"}
    assert set(ask.get("/v1/namespaces/v2/tables/events").json()["metadata"]["refs"]) == {"main", "v1", "v2"}
    assert ask.get("/v1/namespaces/current/tables/events").json() == ask.get("/v1/namespaces/v2/tables/events").json()


def test_an_expired_version_has_no_namespace_and_the_next_one_that_is_kept_is_named() -> None:
    ask = client(snapshots=[replace(BOTH[0], is_kept=False), BOTH[1]])
    assert ask.get("/v1/namespaces").json() == {"namespaces": [["current"], ["v2"]]}
    for path in ("/v1/namespaces/v1", "/v1/namespaces/v1/tables", "/v1/namespaces/v1/tables/events"):
        answer = ask.get(path)
        assert (answer.status_code, answer.json()["error"]["message"]) == (
            404,
            "version 1 is no longer kept: it expired at 2026-11-20 12:00:00 UTC; the next version that is kept is 2",
        )


def test_the_place_of_the_real_metadata_is_not_told() -> None:
    assert set(client(snapshots=BOTH).get("/v1/namespaces/v1/tables/events").json()) == {"metadata", "config"}


@pytest.mark.parametrize("name", ["v0", "v3", "v01", "V1", "views", "v1%1Fevents", "v" + "9" * 30, "v１"])
def test_a_namespace_that_was_not_published_is_not_found(name: str) -> None:
    for path in (f"/v1/namespaces/{name}", f"/v1/namespaces/{name}/tables", f"/v1/namespaces/{name}/tables/events"):
        answer = client(snapshots=BOTH).get(path)
        assert answer.status_code == 404
        assert answer.json()["error"]["message"].endswith("there are current and v1 to v2")


def test_an_unknown_table_is_not_found_in_the_form_iceberg_readers_know() -> None:
    answer = client(snapshots=BOTH).get("/v1/namespaces/v1/tables/secrets")
    assert (answer.status_code, answer.json()["error"]["type"]) == (404, "NoSuchTableException")
    assert answer.json()["error"]["message"] == "there is no table 'secrets'; there are events, tally"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
@pytest.mark.parametrize("path", ["/v1/namespaces", "/v1/namespaces/v1", "/v1/namespaces/v1/tables/events"])
def test_nothing_can_be_written(method: str, path: str) -> None:
    answer = client(snapshots=BOTH).request(method, path, json={})
    assert (answer.status_code, answer.json()["error"]["message"]) == (403, "published versions are read-only")


def test_readers_are_told_that_they_can_only_read() -> None:
    endpoints = client().get("/v1/config").json()["endpoints"]
    assert endpoints == list(READS)
    assert {endpoint.split()[0] for endpoint in endpoints} == {"GET", "HEAD"}


def test_a_dead_server_is_one_sentence() -> None:
    answer = client(snapshots=BOTH, is_up=False).get("/v1/namespaces/v1/tables/events")
    assert (answer.status_code, answer.json()["error"]["message"]) == (503, "HDFS does not answer")
