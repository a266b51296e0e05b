"""The views of each video that the ledger was posted for, from the lines of all payments."""

from collections.abc import Iterator, Sequence
from datetime import date

from billing.postgres_session import Connect, one_transaction
from ingestion.contract.settled import BilledVideo

_OF_DAYS = """(%(days)s::date[] IS NULL OR EXISTS (
    SELECT FROM unnest(%(days)s::date[]) AS day WHERE period_start_on <= day AND day < period_end_on))"""
_BILLED = f"""
WITH of_statement AS (  -- tiers are slices of a group's events; every owner of a video is paid for all of them
    SELECT batch_version, period_start_on, period_end_on, video_id, owned_from_on, owned_to_on, effective_from_on,
           country, policy_version, contract_version, statement_id, sum(quantity) AS views
    FROM billing.payment_audit WHERE kind = 'views' AND {_OF_DAYS} GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
), of_group AS (
    SELECT batch_version, greatest(period_start_on, owned_from_on) AS start_on,
           least(period_end_on, owned_to_on) AS end_on, video_id, contract_version,
           min(views) AS fewest, max(views) AS most
    FROM of_statement GROUP BY 1, 2, 3, 4, 5, effective_from_on, country, policy_version
)
SELECT batch_version, start_on, end_on, video_id, sum(fewest)::bigint, sum(most)::bigint,
       bool_or(jsonb_path_exists(document, '$.**.minimum_view_seconds ? (@ != null)'))
           OR EXISTS (SELECT 1 FROM billing.runs r
                      WHERE r.batch_version = of_group.batch_version AND r.unrated_views > 0
                      AND r.period_start_on <= of_group.start_on AND of_group.end_on <= r.period_end_on)
FROM of_group JOIN billing.rate_cards USING (contract_version) GROUP BY 1, 2, 3, 4
"""
# of a period that several runs billed or restated, no run has all views
_WHOLE = f"""
SELECT min(batch_version), period_start_on, period_end_on, sum(unattributed_views)::bigint,
       coalesce(bool_or(unrated_views > 0), false)
FROM billing.runs WHERE {_OF_DAYS} GROUP BY 2, 3 HAVING count(*) = 1
"""


class PostgresBilledViews:
    """Reads the posted views, as the database holds them.

    Raises:
        UnavailableError: PostgreSQL does not answer.
        SchemaMissingError: the tables do not exist.
    """

    def __init__(self, connect: Connect) -> None:
        self._connect = connect

    def billed(self, days: Sequence[date] | None = None) -> list[BilledVideo]:
        """Return a record for each video, period and version; one for each owner if owners got different ones.

        If days are given, only periods that contain one of them.
        """
        return list(self._read(None if days is None else list(days)))

    def _read(self, days: list[date] | None) -> Iterator[BilledVideo]:
        with one_transaction(self._connect) as cursor:
            cursor.execute(_BILLED, {"days": days})
            found = cursor.fetchall()
            cursor.execute(_WHOLE, {"days": days})
            periods = cursor.fetchall()
        for version, start_on, end_on, video_id, fewest, most, may_be_fewer in found:
            for views in sorted({fewest, most}):
                yield BilledVideo(version, start_on, end_on, video_id, views, may_be_fewer)
        for version, start_on, end_on, unknown, is_unrated in periods:
            lines = [each for each in found if each[0] == version and start_on <= each[1] and each[2] <= end_on]
            views = unknown + sum(each[5] for each in lines)
            yield BilledVideo(version, start_on, end_on, None, views, is_unrated or any(each[6] for each in lines))
