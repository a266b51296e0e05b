"""Read the estimate of today of a payee: settled and live views of one version, the days before, and the rates."""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from datetime import UTC, date, datetime, timedelta
from itertools import groupby

from ingestion.contract.unavailable import UnavailableError
from serving_layer.counts.counts_reader import ReadCounts, read_at_one_version, refuse_too_large
from serving_layer.counts.merge import ServedCount, ServedVersion, newest
from serving_layer.history.history_reader import HistoryReader
from serving_layer.history.series import WindowSum
from serving_layer.money.statements import books_unavailable
from serving_layer.money.todays_estimate import (
    CHECKED_DAYS_MOST,
    LIVE_VIDEOS_MAX,
    CheckedDay,
    DayRates,
    EarnedBounds,
    SharedViews,
    TodaysEstimate,
    billable_bounds,
)
from serving_layer.request.parameters import AtVersion, by_utc_days

_DAY = timedelta(days=1)


class EstimateReader:
    """Reads through the readers of counts and history, and through the port of rates in `executor`.

    Raises:
        ProblemError: the payee is not in the catalogue, has too many videos, or a store is away.
    """

    def __init__(
        self,
        history: HistoryReader,
        read: ReadCounts,
        rates: DayRates,
        *,
        executor: Executor,
        now: Callable[[], datetime],
        allowed_lateness: timedelta,
    ) -> None:
        """`allowed_lateness`: how long after its end a day's traffic is judged."""
        self._history = history
        self._read = read
        self._rates = rates
        self._executor = executor
        self._now = now
        # without rules of the day, invalid events are shown a day after its end, however short the lateness
        self._checked_after = _DAY + max(_DAY, allowed_lateness)

    async def of_payee(self, payee_id: str) -> TodaysEstimate:
        """Return the estimate of today (UTC), all of one version."""
        today = self._now().astimezone(UTC).date()
        shares = await self._history.shares(payee_id, today)
        refuse_too_large(shares)
        counts = await read_at_one_version(self._read, list(shares)) if len(shares) <= LIVE_VIDEOS_MAX else []
        version = await self._history.version(AtVersion(number=counts[0].version or None) if counts else AtVersion())
        settled = await self._settled(shares, version, today)
        is_complete = len(counts) == len(shares) and all(each.complete for each in counts)
        live = _live(counts, shares) if is_complete else None
        views, billable = (sum(getattr(each, name) for _, each in settled) for name in ("views", "billable_views"))
        past = await self._checked_days(list(shares), version, today)
        live_views = None if live is None else sum(each.views for each in live)
        bounds = billable_bounds(views, billable, live_views, past)
        paid = [SharedViews(share_ppm, each.country, each.billable_views) for share_ppm, each in settled]
        earned = await self._earned(payee_id, today, paid, live, bounds.at_least)
        return TodaysEstimate(
            version=version.version,
            settled_until=version.settled_until,
            as_of=newest(version.settled_until, *(count.as_of for count in counts)),
            complete=is_complete,
            payee_id=payee_id,
            day=today,
            billable_views_at_least=bounds.at_least,
            billable_views_at_most=bounds.at_most,
            currency=None if earned is None else earned.currency,
            earned_micros_at_least=None if earned is None else earned.at_least_micros,
            earned_micros_at_most=None if earned is None else earned.at_most_micros,
            settled_views=views,
            settled_billable_views=billable,
            live_views=live_views,
            checked_days=sum(each.events > 0 for each in past),
        )

    async def _settled(
        self, shares: Mapping[str, int], version: ServedVersion, today: date
    ) -> list[tuple[int, WindowSum]]:
        """Return the settled views of today by share and country."""
        query, found = by_utc_days(today, today + _DAY, "country"), []
        by_share = sorted(shares, key=lambda each: (shares[each], each))
        for share_ppm, videos in groupby(by_share, key=lambda each: shares[each]):
            found += [(share_ppm, each) for each in await self._history.series(list(videos), version, query)]
        return found

    async def _checked_days(self, video_ids: Sequence[str], version: ServedVersion, today: date) -> list[CheckedDay]:
        """Return the last days that were checked, of the videos of today."""
        if version.settled_until is None:
            return []
        end_on = min(today, (version.settled_until - self._checked_after).astimezone(UTC).date() + _DAY)
        start_on = end_on - CHECKED_DAYS_MOST * _DAY
        sums = await self._history.series(video_ids, version, by_utc_days(start_on, end_on))
        invalid = Counter[int]()
        for each in await self._history.invalid(video_ids, version, start_on, end_on):
            invalid[(each.event_day - start_on).days] += each.events
        views = {each.window: each for each in sums}
        return [
            CheckedDay(views[day].views, views[day].billable_views, invalid[day])
            if day in views
            else CheckedDay(0, 0, invalid[day])
            for day in range(CHECKED_DAYS_MOST)
        ]

    async def _earned(
        self,
        payee_id: str,
        today: date,
        settled: Sequence[SharedViews],
        live: Sequence[SharedViews] | None,
        at_least: int,
    ) -> EarnedBounds | None:
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(
                self._executor, self._rates.earned, payee_id, today, settled, live, at_least
            )
        except UnavailableError as error:
            raise books_unavailable() from error


def _live(counts: Sequence[ServedCount], shares: Mapping[str, int]) -> list[SharedViews]:
    found = Counter[int]()
    for each in counts:
        found[shares[each.video_id]] += each.provisional_views
    return [SharedViews(share_ppm, None, views) for share_ppm, views in sorted(found.items())]
