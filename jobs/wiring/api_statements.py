"""Wire the books' statements into the API: billing's reader behind serving's port."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from billing.books.postgres_statement import PostgresStatements
from billing.books.statements import PostedStatement, Statement
from billing.postgres_session import connector
from billing.proof.postgres_statement_bundle import bundle_of_statement
from billing.rating.rated_lines import SettledLine
from billing.rating.view_chain import view_chain
from billing.terms.postgres_catalogue import PostgresCatalogueStore
from billing.terms.postgres_payees import no_payee, unknown_payees
from serving_layer.access.postgres_reads import API_ROLE
from serving_layer.money.statements import (
    ChainLink,
    StatementDetail,
    StatementLine,
    StatementSummary,
    UnknownPayeeError,
)


class BooksStatements:
    """See the port `Statements`. Reads with the rights of the API's role and no others."""

    def __init__(self, url: str) -> None:
        self._connect = connector(url, API_ROLE)
        self._reader = PostgresStatements(self._connect)
        self._catalogue = PostgresCatalogueStore(self._connect)

    def of_payee(self, payee_id: str, most: int) -> Sequence[StatementSummary]:
        """See the port."""
        if found := self._reader.of_payee(payee_id, most):
            return [summary_of(statement, state) for statement, state in found]
        for unknown, like in unknown_payees(self._connect, [payee_id]).items():
            raise UnknownPayeeError(no_payee(unknown, like))
        return []

    def statement(self, statement_id: str) -> StatementDetail | None:
        """See the port."""
        posted = self._reader.statement_by_id(statement_id)
        return detail_of(posted, titles_of(posted, self._catalogue)) if posted is not None else None

    def bundle(self, statement_id: str) -> bytes | None:
        """See the port."""
        return bundle_of_statement(self._connect, statement_id, datetime.now(UTC))


def summary_of(statement: Statement, state: str) -> StatementSummary:
    """Return the sums of a statement in serving's form."""
    return StatementSummary(**_summary(statement, state))


def _summary(statement: Statement, state: str) -> dict[str, Any]:
    return {
        "statement_id": statement.statement_id,
        "payee_id": statement.payee_id,
        "period_start_on": statement.period.start_on,
        "period_end_on": statement.period.end_on,
        "restatement_number": statement.restatement_number,
        "supersedes": statement.supersedes,
        "state": state,
        "currency": statement.currency,
        "billable_views": statement.billable_views,
        "earned_micros": statement.earned_micros,
        "over_cap_micros": statement.over_cap_micros,
        "tax_country": statement.tax_country,
        "tax_micros": statement.tax_micros,
        "payable_micros": statement.payable_micros,
        "carried_nanomicros_before": statement.carried_nanomicros_before,
        "carried_nanomicros_after": statement.carried_nanomicros_after,
        "line_count": statement.line_count,
        "chain": [ChainLink(link.name, link.events) for link in view_chain(statement.outcomes)],
    }


def titles_of(posted: PostedStatement, catalogue: PostgresCatalogueStore) -> Mapping[str, str]:
    """Return the titles of a statement's videos in the catalogue that it rests on: a later one changes nothing."""
    return catalogue.video_titles(posted.catalogue_version, sorted({each.line.video_id for each in posted.lines}))


def detail_of(posted: PostedStatement, titles: Mapping[str, str]) -> StatementDetail:
    """Return a statement in serving's form."""
    return StatementDetail(
        **_summary(posted.statement, posted.state),
        batch_version=posted.batch_version,
        catalogue_version=posted.catalogue_version,
        contract_version=posted.contract_version,
        calculated_at=posted.calculated_at,
        posted_at=posted.posted_at,
        lines=[_line(index, settled, titles) for index, settled in enumerate(posted.lines)],
    )


def _line(index: int, settled: SettledLine, titles: Mapping[str, str]) -> StatementLine:
    line = settled.line
    return StatementLine(
        line_index=index,
        video_id=line.video_id,
        owned_from_on=line.owned_from_on,
        owned_to_on=line.owned_to_on,
        share_ppm=line.share_ppm,
        kind=line.kind,
        country=line.country,
        effective_from_on=line.effective_from_on,
        tier_index=line.tier_index,
        quantity=line.quantity,
        rate_per_thousand_micros=line.rate_per_thousand_micros,
        amount_micros=settled.amount_micros,
        settled_views=line.settled_views,
        policy_version=line.policy_version,
        evidence_root=line.evidence_root,
        title=titles.get(line.video_id),
    )
