"""Compare the pipeline's answers after a fault with the reference model."""

from collections import Counter
from dataclasses import dataclass, field

from faults.reference import LogMessage, recount
from faults.scene import Scene
from faults.traffic import POISON, VIDEOS
from ingestion.contract.printable import counted

PASS, FAIL, UNKNOWN = "pass", "fail", "unknown"


@dataclass(frozen=True)
class Outcome:
    """The result of one run of one fault."""

    fault: str
    seed: int
    verdict: str
    """`unknown`: not everything was drained in time, so nothing is proven. It does not count as passed."""
    events: int
    recovery_seconds: float | None
    """From the fault until every answer was complete and everything was counted."""
    differences: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=())


def differences(scene: Scene) -> list[str]:
    """Return a sentence for every difference from the reference model; the scene must be drained."""
    scene.read_log()
    messages = list(scene.mirror.values())
    expected = recount(messages)
    found = [f"refused: {text}" for text in scene.senders.sent.refusals[:3]]
    if lost := scene.senders.sent.acknowledged_ids - expected.ids:
        found.append(f"not in the log: {counted(len(lost), 'acknowledged event')}, such as {min(lost)}")
    if invented := expected.ids - scene.senders.sent.attempted_ids:
        found.append(f"in the log, and sent by nobody: {counted(len(invented), 'event')}, such as {min(invented)}")
    in_log = sum(each.value in POISON for each in messages)
    if in_log < scene.senders.sent.acknowledged_poison:
        found.append(
            f"{scene.senders.sent.acknowledged_poison - in_log} acknowledged broken messages are not in the log"
        )
    found += differing("views", {video: answer["views"] for video, answer in scene.answers().items()}, expected.views)
    letters = scene.dead_letters()
    if letters != expected.rejected:
        found.append(
            f"dead letters: {len(expected.rejected - letters)} are missing, {len(letters - expected.rejected)} too many"
        )
    return found + _settled(scene, messages)


def differing(what: str, served: dict[str, int], expected: Counter[str]) -> list[str]:
    """Return one sentence if a number of any video is wrong."""
    wrong = sorted(video for video in VIDEOS if served[video] != expected[video])
    if not wrong:
        return []
    total = sum(served[video] - expected[video] for video in wrong)
    first = wrong[0]
    return [
        f"{what} of {counted(len(wrong), 'video')} wrong, by {total:+d} in all; {first} has {served[first]} "
        "and should have "
        f"{expected[first]}"
    ]


def _settled(scene: Scene, messages: list[LogMessage]) -> list[str]:
    """Compare the newest published version with a recount of exactly the offsets that it covers."""
    published = scene.published()
    if published is None:
        return []
    version, ends, raw_count, verdicts = published
    covered = [each for each in messages if each.offset < ends[each.partition]]
    expected = recount(covered)
    answers = scene.answers()
    found = []
    if raw_count != len(covered):
        found.append(f"version {version} archived {raw_count} messages of {len(covered)}")
    if verdicts is not None and {name: count for name, count in verdicts.items() if count} != dict(expected.verdicts):
        found.append(f"version {version} has verdicts {verdicts}, expected {dict(expected.verdicts)}")
    if {answer["version"] for answer in answers.values()} != {version}:
        found.append(f"the API does not answer from version {version}")
    found += differing(
        "settled views", {video: each["settled_views"] for video, each in answers.items()}, expected.views
    )
    billable = {video: each["billable_views"] for video, each in answers.items()}
    return found + differing("billable views", billable, expected.billable_views)
