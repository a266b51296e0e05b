"""What views that are not counted would have earned: each as the average billable view of its period. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from serving_layer.money.statements import StatementSummary
from serving_layer.portal.earnings_records import EstimateRow

IN_FORCE = frozenset({"finalised", "paid"})


@dataclass(frozen=True)
class AverageView:
    """What a period earned, by its billable views."""

    start_on: date
    end_on: date
    currency: str
    earned_micros: int
    billable_views: int

    def worth_micros(self, views: int) -> int:
        """Return what as many views would have earned, rounded down."""
        return views * self.earned_micros // self.billable_views


def average_views(statements: Iterable[StatementSummary], estimates: Iterable[EstimateRow]) -> list[AverageView]:
    """Return the average view of each period that earned by views: as billed, else as estimated."""
    billed = [
        AverageView(each.period_start_on, each.period_end_on, each.currency, each.earned_micros, each.billable_views)
        for each in statements
        if each.state in IN_FORCE and each.billable_views
    ]
    estimated = [
        AverageView(each.period_start_on, each.period_end_on, each.currency, each.earned_micros, each.billable_views)
        for each in estimates
        if each.billable_views
    ]
    return billed + estimated


def average_on(day: date, averages: Iterable[AverageView]) -> AverageView | None:
    """Return that of the period of a day; None if nothing was earned in it."""
    return next((each for each in averages if each.start_on <= day < each.end_on), None)
