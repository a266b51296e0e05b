"""The ports of serving in memory. Each can be made to fail or to wait, as its real twin does."""

import asyncio
import hashlib
from bisect import bisect_right
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Executor, Future
from datetime import UTC, date, datetime
from typing import Any

import msgspec

from ingestion.contract.requests import FileRefusedError, KeyReusedError, OpenAppealError, RequestKey
from ingestion.contract.traffic_reasons import InvalidClass
from ingestion.contract.unavailable import Part, UnavailableError
from ingestion.contract.version import ExpiredVersionError
from serving_layer.counts.counts_reader import CountsReader
from serving_layer.counts.merge import ServedVersion, SettledCount, SpeedSums
from serving_layer.history.history_reader import HistoryReader
from serving_layer.history.invalid import InvalidSum
from serving_layer.history.ports import QueryTooSlowError
from serving_layer.history.series import COMPLETION, CompletionSum, VideoSum, ViewerSum, WindowSum
from serving_layer.money.appeals import AppealReceipt
from serving_layer.money.catalogue_import import CatalogueFiles, ImportAnswer
from serving_layer.money.statements import StatementDetail, StatementSummary, UnknownPayeeError
from serving_layer.money.todays_estimate import EarnedBounds, SharedViews
from serving_layer.request.cursors import Cursors
from serving_layer.request.parameters import SeriesQuery, TopQuery
from serving_layer.routes import examples
from serving_layer.routes.http_history import History

PARTITIONS = 3
SETTLED_UNTIL = datetime(2026, 11, 23, 8, tzinfo=UTC)
APPENDED_AT = datetime(2026, 11, 23, 10, tzinfo=UTC)


def version(number: int) -> ServedVersion:
    return ServedVersion(number, (100 * number,) * PARTITIONS, SETTLED_UNTIL)


class FakePublished:
    """Both ports on published versions: a pointer and rows (video, version) → counts."""

    def __init__(self) -> None:
        self.pointer: ServedVersion | None = None
        self.rows: dict[tuple[str, int], SettledCount] = {}
        self.is_away = False
        self.asked: list[tuple[str, ...]] = []

    def publish(self, counts: Mapping[str, tuple[int, int]], pointer: ServedVersion | None = None) -> ServedVersion:
        number = self.pointer.version + 1 if self.pointer else 1
        for video_id, (views, billable_views) in counts.items():
            self.rows[video_id, number] = SettledCount(views, billable_views)
        self.pointer = pointer or version(number)
        return self.pointer

    def current(self) -> ServedVersion | None:
        self._check()
        return self.pointer

    def counts(self, video_ids: Sequence[str], version: int) -> Mapping[str, SettledCount]:
        self.asked.append(tuple(video_ids))
        return self.changes(video_ids, 0, version)

    def changes(self, video_ids: Sequence[str], after: int, through: int) -> Mapping[str, SettledCount]:
        self._check()
        found = {}
        for number in range(after + 1, through + 1):
            found |= {each: self.rows[each, number] for each in video_ids if (each, number) in self.rows}
        return found

    def _check(self) -> None:
        if self.is_away:
            raise UnavailableError(Part.POSTGRES, "the store of versions is away")


class FakeSpeed:
    """Counts by (offset_end of partition 0, video). `gate` holds round trips back until it is set."""

    def __init__(self) -> None:
        self.views: dict[tuple[int, str], int] = {}
        self.is_complete = True
        self.is_away = False
        self.trips: list[tuple[tuple[int, ...], list[str]]] = []
        self.gate: asyncio.Event | None = None

    async def read(self, offset_ends: tuple[int, ...], video_ids: Sequence[str]) -> SpeedSums:
        self.trips.append((offset_ends, list(video_ids)))
        if self.gate is not None:
            await self.gate.wait()
        if self.is_away:
            raise UnavailableError(Part.REDIS, "Redis is away")
        views = {video_id: self.views.get((offset_ends[0], video_id), 0) for video_id in video_ids}
        return SpeedSums(offset_ends, views, self.is_complete, APPENDED_AT)


class SilentObserver:
    """Observes nothing."""

    def speed_read(self, ids: int, seconds: float, *, answered: bool) -> None: ...
    def settled_read(self, ids: int, seconds: float, *, answered: bool) -> None: ...
    def pointer_read(self, seconds: float, *, answered: bool) -> None: ...
    def version_known(self, version: ServedVersion) -> None: ...


class InlineExecutor(Executor):
    """Runs a call at once, so that a test decides what happens when."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> "Future[Any]":
        done: Future[Any] = Future()
        try:
            done.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001  handed on, as every executor does
            done.set_exception(error)
        return done


def reader_of(published: FakePublished, speed: FakeSpeed, **settings: Any) -> CountsReader:
    settings = {"executor": InlineExecutor(), "observer": SilentObserver(), "partition_count": PARTITIONS} | settings
    return CountsReader(published, published, speed, **settings)


HistoryEvent = tuple[int, str, datetime, str, str, bool, int]


def reached_by(length: int | None, seconds: int) -> list[int]:
    """Return what one view adds to each measure of completion."""
    return [int(length is not None and 100 * seconds >= percent * length) for percent in (0, 25, 50, 75, 100)]


class FakeHistory:
    """The port `SettledHistory` over events: (version, video, instant, country, device, is billable, seconds)."""

    def __init__(self) -> None:
        self.versions: dict[int, tuple[ServedVersion, datetime]] = {}
        self.expired: dict[int, datetime] = {}
        self.expires_while_read: int | None = None
        """A version that a maintenance expires while sums are read."""
        self.events: list[HistoryEvent] = []
        self.unsummed_until = 0
        """The last version of a release that summed no watched seconds."""
        self.invalid_changes: list[tuple[int, str, date, str, int, tuple[str, ...]]] = []
        """(version, video, day, class, events, samples)."""
        self.viewer_changes: list[tuple[int, str, date, str, int]] = []
        """(version, video, day, viewer, 1 or -1)."""
        self.forgotten: set[str] = set()
        """Viewers of whom the store knows only that they were there."""
        self.uncounted_until = 0
        """The last version of a release that counted no viewers."""
        self.lengths: dict[str, int] = {}
        """Video → its length in seconds."""
        self.unreached_until = 0
        """The last version of a release that did not say how far viewers got; the next one says it of all views."""
        self.unsettled_days: set[date] = set()
        self.is_away = False
        self.is_slow = False

    def publish(self, number: int, published_at: datetime, *events: tuple[str, datetime, str, str, bool, int]) -> None:
        self.versions[number] = (version(number), published_at)
        self.events += [(number, *event) for event in events]

    def version(self, number: int) -> ServedVersion | None:
        self._check()
        return self._kept(self.versions[number][0] if number in self.versions else None)

    def version_at(self, instant: datetime) -> ServedVersion | None:
        self._check()
        found = [each for each, published_at in self.versions.values() if published_at <= instant]
        return self._kept(max(found, key=lambda each: each.version, default=None))

    def _kept(self, found: ServedVersion | None) -> ServedVersion | None:
        if found is not None and found.version in self.expired:
            next_kept = min(number for number in self.versions if number > found.version and number not in self.expired)
            raise ExpiredVersionError(found.version, self.expired[found.version], next_kept)
        return found

    def counts(self, video_ids: Sequence[str], version: int) -> Mapping[str, SettledCount]:
        self._check()
        found = {each: self.totals([each], version) for each in video_ids}
        return {video_id: count for video_id, count in found.items() if count.views}

    def totals(self, video_ids: Sequence[str], version: int) -> SettledCount:
        chosen = [event for event in self._up_to(version) if event[1] in video_ids]
        return SettledCount(len(chosen), sum(event[5] for event in chosen))

    def series(self, video_ids: Sequence[str], version: int, query: SeriesQuery) -> list[WindowSum]:
        found: dict[tuple[int, str, str], list[int]] = {}
        for _, video_id, instant, country, device, is_billable, seconds in self._up_to(version):
            quarter = int(instant.timestamp()) // 900
            if video_id in video_ids and query.edges[0] <= quarter < query.edges[-1]:
                window = bisect_right(query.edges, quarter) - 1
                group = (country if "country" in query.group_by else "", device if "device" in query.group_by else "")
                sums = found.setdefault((window, *group), [0, 0, 0])
                sums[0] += 1
                sums[1] += is_billable
                sums[2] += seconds
        return [
            WindowSum(*key, views, billable, seconds if version > self.unsummed_until else None)
            for key, (views, billable, seconds) in found.items()
        ]

    def viewers(self, video_ids: Sequence[str], version: int, query: SeriesQuery) -> list[ViewerSum] | None:
        self._check()
        if version <= self.uncounted_until:
            return None
        days: Counter[tuple[int, str, date, str]] = Counter()
        for at, video_id, day, viewer, sign in self.viewer_changes:
            quarter = (day - date(1970, 1, 1)).days * 96
            if at <= version and video_id in video_ids and query.edges[0] <= quarter < query.edges[-1]:
                days[bisect_right(query.edges, quarter) - 1, video_id, day, viewer] += sign
        there = [key for key, count in days.items() if count]
        unknown = Counter(window for window, *_, viewer in there if viewer in self.forgotten)
        people = {(window, viewer) for window, *_, viewer in there if viewer not in self.forgotten}
        known = Counter(window for window, _ in people)
        return [ViewerSum(each, known[each] + unknown[each], unknown[each]) for each in sorted({*known, *unknown})]

    def completion(self, video_ids: Sequence[str], version: int, query: SeriesQuery) -> list[CompletionSum]:
        found: dict[int, list[int]] = {}
        for _, video_id, instant, *_, seconds in self._up_to(version):
            quarter = int(instant.timestamp()) // 900
            if video_id in video_ids and query.edges[0] <= quarter < query.edges[-1]:
                sums = found.setdefault(bisect_right(query.edges, quarter) - 1, [0] * len(COMPLETION))
                reached = reached_by(self.lengths.get(video_id), seconds)
                sums[:] = [before + number for before, number in zip(sums, reached, strict=True)]
        unknown = [None] * len(COMPLETION)
        return [CompletionSum(window, *(sums if version > self.unreached_until else unknown))
                for window, sums in found.items()]  # fmt: skip

    def invalid(self, video_ids: Sequence[str], version: int, start_on: date, end_on: date) -> list[InvalidSum]:
        self._check()
        if version == self.expires_while_read:
            self.expired[version] = SETTLED_UNTIL
        found: dict[tuple[date, InvalidClass], InvalidSum] = {}
        for at, video_id, day, name, events, ids in sorted(self.invalid_changes, key=lambda each: (each[1], -each[0])):
            if at <= version and video_id in video_ids and start_on <= day < end_on and day not in self.unsettled_days:
                key = (day, InvalidClass(name))
                before = found.get(key, InvalidSum(*key, 0, ()))
                found[key] = InvalidSum(*key, before.events + events, before.sample_event_ids or ids)
        return [found[key] for key in sorted(found) if found[key].events]

    def top(self, version: int, query: TopQuery, most: int) -> list[VideoSum]:
        found: dict[str, list[int]] = {}
        for _, video_id, instant, _, _, is_billable, _ in self._up_to(version):
            is_ranked = query.among is None or video_id in query.among
            if is_ranked and query.start_on <= instant.date() < query.end_on:
                sums = found.setdefault(video_id, [0, 0])
                sums[0] += 1
                sums[1] += is_billable
        ranked = [VideoSum(video_id, *sums) for video_id, sums in found.items() if sums[query.by != "views"]]
        return sorted(ranked, key=lambda each: (-getattr(each, query.by), each.video_id))[:most]

    def _up_to(self, version: int) -> list[HistoryEvent]:
        self._check()
        if version == self.expires_while_read:
            self.expired[version] = SETTLED_UNTIL
            return []  # its rows were joined with later ones: the sums are wrong
        return [event for event in self.events if event[0] <= version]

    def _check(self) -> None:
        if self.is_away:
            raise UnavailableError(Part.POSTGRES, "the store of versions is away")
        if self.is_slow:
            raise QueryTooSlowError("given up")


class FakeChannels:
    """The port `Channels`: payee → videos; before `known_from` nobody was in the catalogue."""

    def __init__(self, videos: Mapping[str, Sequence[str]], known_from: int = 0) -> None:
        self.videos, self.known_from = videos, known_from
        self.parts: dict[str, int] = {}
        """Video → the payee's share of it, if it is not the whole."""

    def video_ids(self, payee_id: str, published_by: int | None) -> Sequence[str] | None:
        if published_by is not None and published_by < self.known_from:
            return None
        return self.videos.get(payee_id)

    def shares(self, payee_id: str, day: date) -> Mapping[str, int] | None:
        videos = self.videos.get(payee_id)
        return None if videos is None else {video_id: self.parts.get(video_id, 1_000_000) for video_id in videos}

    def payees(self, video_ids: Collection[str]) -> Mapping[str, frozenset[str]]:
        owners = {
            video_id: frozenset(payee for payee, videos in self.videos.items() if video_id in videos)
            for video_id in video_ids
        }
        return {video_id: payees for video_id, payees in owners.items() if payees}

    def titles(self, video_ids: Collection[str]) -> Mapping[str, str]:
        return {video_id: f"Title of {video_id}" for video_id in video_ids if not video_id.startswith("_")}


NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


def history_of(
    reader: CountsReader,
    history: FakeHistory | None = None,
    channels: FakeChannels | None = None,
    *,
    counts_are_public: bool = True,
) -> History:
    past = HistoryReader(
        history or FakeHistory(), channels or FakeChannels({}), InlineExecutor(), current=lambda: reader.version
    )
    return History(past, Cursors(b"k" * 32), lambda: NOW, counts_are_public)


class FakeDayRates:
    """The port `DayRates`: 2,000 micros a view of the whole of a video, for those whom a contract covers."""

    def __init__(self, *payees: str) -> None:
        self.payees = set(payees)
        self.asked: list[tuple[str, date, Sequence[SharedViews], Sequence[SharedViews] | None, int]] = []
        self.is_away = False

    def earned(
        self,
        payee_id: str,
        day: date,
        settled: Sequence[SharedViews],
        live: Sequence[SharedViews] | None,
        at_least: int,
    ) -> EarnedBounds | None:
        if self.is_away:
            raise UnavailableError(Part.POSTGRES, "the books are away")
        self.asked.append((payee_id, day, settled, live, at_least))
        if payee_id not in self.payees:
            return None
        every = None if live is None else sum(each.views * each.share_ppm for each in (*settled, *live)) // 500
        return EarnedBounds("USD", 2_000 * at_least, every)


class FakeStatements:
    """The port `Statements` in memory."""

    def __init__(self, *statements: StatementDetail) -> None:
        self.statements = list(statements)
        self.unknown_payees: set[str] = set()
        self.is_away = False

    def of_payee(self, payee_id: str, most: int) -> Sequence[StatementSummary]:
        self._check()
        if payee_id in self.unknown_payees:
            raise UnknownPayeeError(f"there is no payee {payee_id!r}; the nearest that is known is 'ann'")
        names = [field.name for field in msgspec.structs.fields(StatementSummary)]
        return [
            StatementSummary(**{name: getattr(each, name) for name in names})
            for each in self.statements
            if each.payee_id == payee_id
        ][:most]

    def statement(self, statement_id: str) -> StatementDetail | None:
        self._check()
        return next((each for each in self.statements if each.statement_id == statement_id), None)

    def bundle(self, statement_id: str) -> bytes | None:
        found = self.statement(statement_id)
        return found and f'{{"statement_id":"{found.statement_id}"}}'.encode()

    def _check(self) -> None:
        if self.is_away:
            raise UnavailableError(Part.POSTGRES, "the books are away")


def statement(payee_id: str, number: int, state: str) -> StatementDetail:
    fields = msgspec.json.decode(msgspec.json.encode(examples.STATEMENT))
    fields |= {"statement_id": statement_id(payee_id, number), "payee_id": payee_id, "state": state}
    return msgspec.convert(fields, StatementDetail)


def statement_id(payee_id: str, number: int) -> str:
    return hashlib.sha256(f"{payee_id} {number}".encode()).hexdigest()[:32]


class FakeAppeals:
    """The port `Appeals` in memory."""

    def __init__(self) -> None:
        self.filed: list[tuple[str, str, str]] = []
        """Statement, objection, who."""
        self.requests: dict[tuple[str, str], tuple[str, AppealReceipt]] = {}
        self.open: set[str] = set()
        """Statements with an appeal that is not decided."""
        self.is_away = False

    def answered(self, statement_id: str, request: RequestKey) -> AppealReceipt | None:
        if self.is_away:
            raise UnavailableError(Part.POSTGRES, "the books are away")
        inputs_hash, receipt = self.requests.get((request.caller, request.key), ("", None))
        if receipt is not None and inputs_hash != request.inputs_hash:
            raise KeyReusedError
        return receipt

    def file(self, statement_id: str, objection: str, request: RequestKey) -> AppealReceipt:
        if (before := self.answered(statement_id, request)) is not None:
            return before
        if statement_id in self.open:
            raise OpenAppealError
        self.open.add(statement_id)
        self.filed.append((statement_id, objection, request.caller))
        receipt = AppealReceipt(f"{len(self.filed):016x}", statement_id, APPENDED_AT)
        self.requests[request.caller, request.key] = (request.inputs_hash, receipt)
        return receipt


class FakeImports:
    """The port `CatalogueImports` in memory: every file is good unless `problems` says otherwise."""

    def __init__(self) -> None:
        self.versions: list[CatalogueFiles] = []
        self.requests: dict[tuple[str, str], tuple[str, ImportAnswer]] = {}
        self.is_away = False
        self.problems: tuple[str, ...] = ()
        self.state = "in_force"

    def import_files(self, files: CatalogueFiles, request: RequestKey) -> ImportAnswer:
        if self.is_away:
            raise UnavailableError(Part.POSTGRES, "the store is away")
        if self.problems:
            raise FileRefusedError(self.problems)
        inputs_hash, answer = self.requests.get((request.caller, request.key), ("", None))
        if answer is not None and inputs_hash != request.inputs_hash:
            raise KeyReusedError
        if answer is None:
            is_new = self.versions[-1:] != [files]
            self.versions += [files] if is_new else []
            answer = ImportAnswer(len(self.versions), is_new, self.state, 1, 1)
            self.requests[request.caller, request.key] = (request.inputs_hash, answer)
        return answer
