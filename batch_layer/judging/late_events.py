"""Find the accepted late events that a run is the first to judge as accepted. Pure."""

from collections.abc import Collection

from ingestion.contract.offsets import LogPlace, OffsetVector


def newly_accepted(
    decided: Collection[LogPlace], former: Collection[LogPlace], end: OffsetVector
) -> tuple[LogPlace, ...]:
    """Return the accepted places, ascending, that no former version judged as accepted and that lie before `end`.

    Later places wait for the run that archives them: a version names only events that it has.
    """
    waiting = set(decided) - set(former)
    return tuple(sorted(place for place in waiting if place[0] < len(end.ends) and place[1] < end.ends[place[0]]))
