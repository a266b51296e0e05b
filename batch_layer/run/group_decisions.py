"""The decisions about groups under review that a run is the first to apply, those by expiry among them."""

from batch_layer.judging.ports import ReleasedGroups
from batch_layer.lake.tables import TRAFFIC_OUTCOMES
from batch_layer.run.ports import Decided
from batch_layer.run.run_ports import RunPorts
from ingestion.contract.traffic_groups import TrafficDecision, still_to_apply
from ingestion.contract.version import PublishedVersion


def decisions_to_apply(
    ports: RunPorts, former: PublishedVersion | None, before: Decided
) -> tuple[tuple[TrafficDecision, ...], ReleasedGroups]:
    """Return the new decisions whose groups are as they were decided on, and what expired before.

    Of a group that changed meanwhile nobody has decided yet.
    """
    expiry = _expired(ports, former)
    waiting = still_to_apply(ports.traffic_decisions.all(), before.traffic)
    return (tuple(ports.warehouse.undisturbed(former, waiting)) if waiting and former else ()), expiry


def _expired(ports: RunPorts, former: PublishedVersion | None) -> ReleasedGroups:
    if former is None:
        return ReleasedGroups()
    note_groups(ports, former)
    return ports.traffic_decisions.expire()


def note_groups(ports: RunPorts, version: PublishedVersion) -> None:
    """Note which groups wait for a decision, if the outcomes changed.

    The run that publishes a version notes its groups. If it could not, or was killed before, the next run does.
    """
    content_hash = version.content_hashes.get(TRAFFIC_OUTCOMES, "")
    if content_hash != ports.traffic_decisions.noted_hash():
        ports.traffic_decisions.note(version.version, content_hash, ports.warehouse.groups_under_review(version))
