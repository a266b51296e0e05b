"""The ports of the pages about traffic under review and invalid traffic. Calls block, and raise UnavailableError."""

from collections.abc import Sequence
from datetime import date
from typing import Protocol

from ingestion.contract.allowed_traffic import AllowedInForce
from ingestion.contract.requests import RequestKey
from ingestion.contract.traffic_reasons import InvalidClass
from serving_layer.portal.traffic_records import (
    DecidedRow,
    GroupDetail,
    GroupRow,
    ReviewedViews,
    TrafficAppealRow,
)


class GroupReviews(Protocol):
    """Groups under review and the decisions about them; with the rights of those who decide."""

    def groups(self) -> Sequence[GroupRow]:
        """Return the groups that nobody has decided on, those that are released first at the beginning."""

    def group(self, name: str) -> GroupDetail | None:
        """Return one of them; None if there is no such group.

        Raises:
            RefusedActionError: somebody decided on it, or it has other events by now.
        """

    def decided(self) -> Sequence[DecidedRow]:
        """Return the newest decisions, at most 50."""

    def allowed(self) -> Sequence[AllowedInForce]:
        """Return the allow-lists of all policies of traffic in force, the oldest policy first."""

    def decide(self, name: str, outcome: str, actor: str, reason: str) -> None:
        """`released` or `confirmed`: store the decision, and answer the payee's open appeals about it.

        Raises:
            RefusedActionError: it is decided otherwise, its events are others by now, or it is the actor's own payee.
        """

    def open_appeals(self) -> Sequence[TrafficAppealRow]:
        """Return the appeals of all payees that nobody has answered, the oldest first."""

    def answer(self, appeal_id: str, text: str, actor: str) -> None:
        """Answer an appeal; the same answer again changes nothing.

        Raises:
            RefusedActionError: there is no such appeal, it was answered otherwise, or it is the actor's own.
        """


class PayeeTraffic(Protocol):
    """What a payee is shown of their traffic, and may object to: never a rule, and never a threshold."""

    def under_review(self, payee_id: str) -> Sequence[ReviewedViews]:
        """Return the payee's views under review by day and class, as the last night counted them, newest day first."""

    def appeals(self, payee_id: str) -> Sequence[TrafficAppealRow]:
        """Return the payee's appeals, newest first."""

    def appeal(self, payee_id: str, day: date, invalid_class: InvalidClass, text: str, request: RequestKey) -> None:
        """Object to what is not counted of a day and class, once for a request, even if it is repeated.

        Raises:
            RefusedActionError: an appeal about them is open, or the form was sent before with another text.
        """
