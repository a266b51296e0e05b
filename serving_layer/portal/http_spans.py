"""The spans of days that a visitor can choose from."""

from datetime import timedelta

from starlette.responses import Response

from ingestion.contract.periods import Period
from serving_layer.portal.http_visit import Visit

DAYS = (7, 28, 90, 365)


def days_of(visit: Visit) -> int | None:
    """Return for how many of the last days the visitor asked; None if it is none that can be chosen."""
    text = visit.request.query_params.get("days", "28")
    return int(text) if text in {str(each) for each in DAYS} else None


def wrong_days(visit: Visit) -> Response:
    """Return the page that says which spans there are."""
    return visit.problem(422, "No such span", f"`days` is one of {', '.join(map(str, DAYS))}.")


def span_of(visit: Visit, days: int) -> Period:
    """Return the last days until today (UTC), which is included."""
    end_on = visit.portal.now().date() + timedelta(days=1)
    return Period(end_on - timedelta(days=days), end_on)
