"""Notices in PostgreSQL: what there is to send follows from the books' steps, and each attempt is a row."""

from collections.abc import Callable
from datetime import date
from typing import Any

from billing.errors import NoticeRefusedError
from billing.notices.notice import ATTEMPTS_MAX, PayeeNotice
from billing.postgres_session import Connect, one_transaction

ERROR_CHARACTERS_MAX = 500
_NOTICES = """
    SELECT notice_id, kind, subject_kind, subject_id, transition_index, payee_id, account_version, email, moved_at,
           currency, amount_micros, period_start_on, period_end_on, attempt_count, delivered_at, last_error
    FROM billing.payee_notices"""
_SENDABLE = """
    CASE WHEN %(since)s::date IS NULL THEN email IS NOT NULL
         ELSE moved_at >= %(since)s::date::timestamp AT TIME ZONE 'UTC' END"""
_DUE = f"""{_NOTICES}
    WHERE delivered_at IS NULL AND attempt_count < {ATTEMPTS_MAX} AND {_SENDABLE} ORDER BY moved_at, notice_id"""
_OF_PAYEE = f"""{_NOTICES}
    WHERE (%(payee)s IS NULL OR payee_id = %(payee)s) AND (attempt_count > 0 OR {_SENDABLE})
    ORDER BY moved_at DESC, notice_id"""
_LOCK = "SELECT pg_advisory_xact_lock(hashtext('viewledger.billing.notices'))"
_ATTEMPTS = """
    SELECT count(*), coalesce(bool_or(error IS NULL), false) FROM billing.notice_attempts
    WHERE (subject_kind, subject_id, transition_index, payee_id, account_version) = (%s, %s, %s, %s, %s)"""
_NOTE = """
    INSERT INTO billing.notice_attempts
        (subject_kind, subject_id, transition_index, payee_id, account_version, attempt_index, channel, error)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s)"""


class PostgresNotices:
    """Reads the notices of a channel and sends one after the other; needs the role `viewledger_notices`.

    With `webhook_since` the channel is the webhook: all payees are told of what happened on that day (UTC) or later.
    Without it the channel is e-mail: payees who have an address are told.
    """

    def __init__(self, connect: Connect, *, webhook_since: date | None = None) -> None:
        self._connect, self._since = connect, webhook_since
        self._channel = "email" if webhook_since is None else "webhook"

    def due(self) -> list[PayeeNotice]:
        """Return the notices to send by this channel, oldest first; what another one delivered is not among them."""
        return self._read(_DUE)

    def of_payee(self, payee_id: str | None = None) -> list[PayeeNotice]:
        """Return the notices of a payee (or of all) to this channel, and those tried by another one, newest first."""
        return self._read(_OF_PAYEE, {"payee": payee_id})

    def attempt(self, notice: PayeeNotice, deliver: Callable[[PayeeNotice], object]) -> str | None:
        """Send a notice that is due and note the outcome; return `delivered` or `refused`.

        None: another process has tried it since it was read. One notice is sent at a time. If this process or the
        database dies between the server's answer and the COMMIT, the notice is sent once more, under the same id.
        """
        key = (
            notice.subject_kind,
            notice.subject_id,
            notice.transition_index,
            notice.payee_id,
            notice.account_version,
        )
        with one_transaction(self._connect) as cursor:
            cursor.execute(_LOCK)
            cursor.execute(_ATTEMPTS, key)
            count, is_delivered = cursor.fetchone() or (0, False)
            if is_delivered or count != notice.attempt_count:
                return None
            refused = None
            try:
                deliver(notice)
            except NoticeRefusedError as error:
                refused = str(error)[:ERROR_CHARACTERS_MAX]
            cursor.execute(_NOTE, (*key, count, self._channel, refused))
        return "delivered" if refused is None else "refused"

    def _read(self, query: str, parameters: dict[str, Any] | None = None) -> list[PayeeNotice]:
        with one_transaction(self._connect) as cursor:
            cursor.execute(query, {"since": self._since, **(parameters or {})})
            return [PayeeNotice(*row) for row in cursor]
