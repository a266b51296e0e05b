"""Every problem of the API: its stable code, its status, and when it happens. Pure.

docs/reference/api.md shows this table; a test holds the two against each other.
"""

from collections.abc import Mapping

from ingestion.contract.problem import Problem
from ingestion.contract.unavailable import Part

CODES: dict[str, tuple[int, str]] = {
    "body_malformed": (400, "The body is not JSON."),
    "body_incomplete": (400, "The connection closed before the whole body arrived."),
    "credentials_malformed": (401, "The Authorization header is not `Bearer` followed by an API key or a token."),
    "credentials_missing": (401, "The route needs an API key or a token."),
    "key_unknown": (401, "No such API key, or its secret is wrong."),
    "key_expired": (401, "The API key has expired."),
    "key_revoked": (401, "The API key was revoked."),
    "token_invalid": (401, "The token is not a JWT of a known issuer, its signature is wrong, or a claim is missing."),
    "token_expired": (401, "The token has expired."),
    "token_not_yet_valid": (401, "The token is not valid yet."),
    "token_audience": (401, "The token was made for another audience."),
    "scope_missing": (403, "The credential is good, but lacks the scope that the route needs."),
    "not_found": (404, "There is nothing here, or it is not yours."),
    "method_not_allowed": (405, "The path exists, but not with this method."),
    "body_too_slow": (408, "The body did not arrive in time."),
    "body_too_large": (413, "The body is larger than allowed."),
    "video_id_malformed": (422, "No video can have this id."),
    "lookup_invalid": (422, "The body of a look-up has another form than described."),
    "lookup_size": (422, "A look-up has no id, or too many."),
    "event_id_malformed": (422, "No event can have this id."),
    "not_acceptable": (406, "The answer exists in none of the forms that Accept names."),
    "version_not_found": (404, "This version is not published, or nothing was published yet at this instant."),
    "version_expired": (410, "This version was published and is no longer kept; `detail` names the next one that is."),
    "parameter_unknown": (422, "A query parameter that the route does not have."),
    "parameter_repeated": (422, "A query parameter appears twice."),
    "range_invalid": (422, "from or to is missing, malformed, not on a quarter of an hour, or from is not before to."),
    "range_too_large": (422, "from and to hold more windows or days than one answer may."),
    "window_unknown": (422, "window is not hour, day, month or range."),
    "timezone_unknown": (422, "timezone is not an IANA name."),
    "group_unknown": (422, "group_by names something other than country and device."),
    "measure_unknown": (
        422,
        "measure is none of views, watched_seconds, average_view_duration, unique_viewers and completion.",
    ),
    "measure_by_day": (
        422,
        "unique_viewers or completion was requested by group, or with windows that are not whole UTC days.",
    ),
    "order_unknown": (422, "by is neither views nor billable_views."),
    "removals_invalid": (422, "allow_removals is not a whole number from 0 on."),
    "limit_invalid": (422, "limit is not a whole number within its bounds."),
    "version_invalid": (422, "version is not a whole number from 1 on, or as_of is given, too."),
    "as_of_invalid": (422, "as_of is not an instant with its zone, or lies in the future."),
    "channel_too_large": (422, "The channel has more videos than can be summed at once."),
    "version_changing": (503, "Versions were published while the answer was put together."),
    "query_too_slow": (503, "The sums take longer than allowed."),
    "live_exhausted": (
        503,
        "The limit of open live streams of the process, the network or the credential is reached.",
    ),
    "cursor_invalid": (422, "The cursor (`cursor`, or `after` of events) was not given out for this query."),
    "format_unknown": (422, "The format is none of the route's: json and csv, or ndjson and csv of events."),
    "idempotency_key_invalid": (400, "The Idempotency-Key is missing, or not 1 to 128 visible ASCII characters."),
    "idempotency_key_reused": (422, "Another request was answered under this Idempotency-Key."),
    "appeal_invalid": (422, "The body of an appeal has another form than described."),
    "appeal_open": (409, "An appeal to the statement is not decided yet."),
    "statement_not_appealable": (409, "The statement is in a state in which appeals are not accepted."),
    "plays_invalid": (422, "A request for plays has another form than described, or asks for none or too many."),
    "upload_malformed": (400, "The body is not multipart/form-data with the files payees, videos and perhaps owners."),
    "catalogue_invalid": (
        422,
        "The files break their format; `problems` says where. Nothing was imported.",
    ),
    "catalogue_unavailable": (503, "PostgreSQL does not answer: nothing is known to be imported."),
    "import_busy": (503, "Another import is running in this process."),
    "rate_limited": (429, "Too many requests; Retry-After says when to come back."),
    "http_error": (400, "The request cannot be served as it is."),
    "internal_error": (500, "An unexpected error; it was logged under the X-Request-Id of the answer."),
    "settled_counts_unavailable": (503, "PostgreSQL does not answer: the settled half cannot be read now."),
    "version_unknown": (503, "The published version has not been read from PostgreSQL yet."),
    "proofs_unavailable": (503, "The batch tables do not answer: events cannot be shown now."),
    "streams_busy": (503, "The limit of running event streams, of this process or of one caller, is reached."),
    "statements_unavailable": (503, "The books do not answer: statements and payments cannot be shown now."),
    "access_unavailable": (503, "PostgreSQL does not answer: the API key cannot be checked now."),
    "identity_provider_unavailable": (503, "The identity provider's keys cannot be fetched: tokens cannot be checked."),
}


PARTS: dict[str, Part] = {
    "settled_counts_unavailable": Part.POSTGRES,
    "query_too_slow": Part.POSTGRES,
    "version_unknown": Part.POSTGRES,
    "statements_unavailable": Part.POSTGRES,
    "access_unavailable": Part.POSTGRES,
    "catalogue_unavailable": Part.POSTGRES,
    "proofs_unavailable": Part.SQL,
    "identity_provider_unavailable": Part.IDENTITY_PROVIDER,
    "version_changing": Part.PROCESS,
    "live_exhausted": Part.PROCESS,
    "streams_busy": Part.PROCESS,
    "import_busy": Part.PROCESS,
}
"""Code with status 503 → the part that it concerns, for programs and for the portal's pages."""


class ProblemError(Exception):
    """The request cannot be served; carries the answer. `headers` are added to it."""

    def __init__(self, problem: Problem, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(problem.detail)
        self.problem = problem
        self.headers = dict(headers or {})


def problem(code: str, detail: str) -> Problem:
    """Return the problem of a code in CODES; `detail` is one sentence: what is wrong and what is allowed."""
    return Problem(CODES[code][0], code, detail, PARTS.get(code))


def refused(code: str, detail: str, headers: Mapping[str, str] | None = None) -> ProblemError:
    """Return the error that answers with this problem."""
    return ProblemError(problem(code, detail), headers)
