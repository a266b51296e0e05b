"""Read owners.csv: the owners of each video with shares and days; the shares of every day add up to one."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import date

from billing.money import SHARE_WHOLE_PPM
from billing.terms.file_csv import CsvRow, NamedFile, Problems, read_id, rows_of, shown
from billing.terms.ownership import SINCE_EVER, WITHOUT_END, OwnerShare, wrong_sums

OWNER_COLUMNS = ("video_id", "payee_id", "share_ppm", "from_on", "to_on")


@dataclass
class SharesByVideo:
    """The shares read so far, and the line of the first one of each video."""

    places: dict[str, tuple[NamedFile, int]] = field(default_factory=dict)
    _shares: dict[str, list[OwnerShare]] = field(default_factory=dict)

    def add(self, file: NamedFile, line: int, share: OwnerShare) -> None:
        """Keep one share."""
        self.places.setdefault(share.video_id, (file, line))
        self._shares.setdefault(share.video_id, []).append(share)

    def of(self, video_id: str) -> Sequence[OwnerShare]:
        """Return the shares of a video."""
        return self._shares.get(video_id, ())


def read_owners(
    file: NamedFile, payees: Collection[str], videos: Collection[str], shares: SharesByVideo, problems: Problems
) -> None:
    """Add the shares of a file; a video that has an owner in videos.csv cannot have others here."""
    for row in rows_of(file, OWNER_COLUMNS, {"from_on", "to_on"}, problems):
        before = len(problems.found)
        video_id, payee_id = read_id(file, row, "video_id", problems), row.cells["payee_id"]
        if video_id not in videos:
            text = f"{shown(video_id)} is not in the videos file; {problems.allowed(video_id, videos)}"
            problems.add(file, row.line, "video_id", text)
        elif shares.places.get(video_id, (file, 0))[0] != file:
            text = f"{video_id!r} has its one owner in the videos file; leave its payee_id empty there"
            problems.add(file, row.line, "video_id", text)
        if payee_id not in payees:
            text = f"{shown(payee_id)} is not in the payees file; {problems.allowed(payee_id, payees)}"
            problems.add(file, row.line, "payee_id", text)
        share_ppm = _share_ppm(file, row, problems)
        from_on = _day(file, row, "from_on", problems) or SINCE_EVER
        to_on = _day(file, row, "to_on", problems) or WITHOUT_END
        if from_on >= to_on:
            text = f"{to_on} is not after {from_on}; allowed: a later day, which is the first that is not included"
            problems.add(file, row.line, "to_on", text)
        if len(problems.found) == before:
            shares.add(file, row.line, OwnerShare(video_id, from_on, to_on, payee_id, share_ppm))


def check_sums(
    owners_file: NamedFile | None,
    videos: Collection[str],
    shares: SharesByVideo,
    problems: Problems,
) -> None:
    """Note every interval in which the shares of a video are not the whole; without any owner it is in suspense."""
    if problems.found:
        return  # an unreadable share would report its video a second time
    for video_id in videos:
        if shares.of(video_id) and shares.places[video_id][0] == owners_file:
            for wrong in wrong_sums(shares.of(video_id)):
                problems.add(*shares.places[video_id], "share_ppm", f"video {video_id!r}: {wrong}")


def _share_ppm(file: NamedFile, row: CsvRow, problems: Problems) -> int:
    text = row.cells["share_ppm"]
    if re.fullmatch(r"\d{1,7}", text, re.ASCII) and 1 <= int(text) <= SHARE_WHOLE_PPM:
        return int(text)
    allowed = f"whole parts per million from 1 to {SHARE_WHOLE_PPM}"
    problems.add(file, row.line, "share_ppm", f"{shown(text)} is not a share; allowed: {allowed}")
    return 0


def _day(file: NamedFile, row: CsvRow, column: str, problems: Problems) -> date | None:
    text = row.cells[column]
    if not text:
        return None
    try:
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text, re.ASCII):
            return date.fromisoformat(text)
    except ValueError:
        pass  # such as 2026-02-30, reported like any other text
    problems.add(file, row.line, column, f"{shown(text)} is not a day; allowed: empty, or YYYY-MM-DD")
    return None
