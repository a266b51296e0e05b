"""The port of the pages about groups under review in memory: one with evidence, and one that no night has seen."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from ingestion.contract.allowed_traffic import AllowedInForce, AllowedKind, AllowedTraffic
from ingestion.contract.requests import RequestKey
from ingestion.contract.traffic_evidence import Aspect, EvidenceCount, GroupEvidence, SampleEvent
from ingestion.contract.traffic_reasons import InvalidClass
from ingestion.contract.unavailable import Part, UnavailableError
from serving_layer.portal.ports import RefusedActionError
from serving_layer.portal.traffic_records import (
    DecidedRow,
    GroupDetail,
    GroupRow,
    ReviewedViews,
    TrafficAppealRow,
)

NOW = datetime(2026, 11, 25, 10, 30, tzinfo=UTC)
ODD, NEW = "2026-11-18/leave_once_paid/ann/40-0123456789ab", "2026-11-24/of_a_later_release//7-ba9876543210"
EVENT = "8f14e45f-ceea-467f-9a3c-1b2d3e4f5a6b"
EVIDENCE = GroupEvidence(
    {
        Aspect.HOUR: (EvidenceCount("03", 40, 0, 100), EvidenceCount("20", 0, 160, 900)),
        Aspect.NETWORK_KIND: (EvidenceCount("", 10, 150, 950), EvidenceCount("data_centre", 30, 10, 50)),
        Aspect.DEVICE: (EvidenceCount("phone", 40, 160, 1_000),),
        Aspect.COUNTRY: tuple(
            EvidenceCount(f"{letter}Z", number, 1, 2) for number, letter in enumerate("ABCDEFGHIJKL")
        ),
        Aspect.SECONDS: (EvidenceCount("30", 40, 3, 20), EvidenceCount("1800", 0, 157, 980)),
        Aspect.ENDING: (EvidenceCount("10", 0, 100, 700), EvidenceCount("5", 40, 60, 300)),
    },
    (SampleEvent(EVENT, NOW - timedelta(days=7), "-walk_01", "DE", "phone", 31, "data_centre"),),
)


def allowed_row(kind: str, name: str, reason: str, *, end_on: date = date(2026, 12, 24)) -> AllowedInForce:
    entry = AllowedTraffic(AllowedKind(kind), name, date(2026, 12, 24), (reason,), "the <school> of Berlin")
    return AllowedInForce(3, entry, date(2026, 11, 16), end_on, "pia@example.org", "max@example.org")


ALLOWED = (
    allowed_row("agent", "Kiosk 1.0", "lockstep", end_on=date(2026, 11, 20)),
    allowed_row("network", "192.0.2.0/24", "leave_once_paid"),
    allowed_row("payee", "ann", "shared_session"),
)


class FakeReviews:
    """Implements `GroupReviews` and `PayeeTraffic`. `away`: the parts that do not answer."""

    def __init__(self, away: Collection[str]) -> None:
        self.away = away
        row = GroupRow(
            ODD, date(2026, 11, 18), "leave_once_paid", "ann", "Ann <b>Ápple</b>", 40, NOW + timedelta(days=3), 38, 2,
            12_340_000, "USD", NOW, 7,
        )  # fmt: skip
        unseen = replace(row, name=NEW, day=date(2026, 11, 24), rule="of_a_later_release", payee_id="", payee_name="")
        nothing_known = {
            name: None
            for name in ("released_at", "waiting_count", "video_count", "estimate_micros", "currency", "counted_at")
        }
        self.details = {
            ODD: GroupDetail(row, 60, EVIDENCE, (), allowed=ALLOWED),
            NEW: GroupDetail(replace(unseen, event_count=7, batch_version=None, **nothing_known), None, None, ()),
        }
        self.taken: list[DecidedRow] = []
        self.filed: list[TrafficAppealRow] = []
        self.keys: dict[str, str] = {}
        self.changed_to = ""
        """The name that the odd group has by now."""

    def groups(self) -> Sequence[GroupRow]:
        self._needs_postgres()
        return [each.row for each in self.details.values()]

    def group(self, name: str) -> GroupDetail | None:
        self._needs_postgres()
        if name == ODD and self.changed_to:
            raise RefusedActionError(f"Group {ODD} has other events by now, as {self.changed_to}; decide again.")
        return self.details.get(name)

    def decided(self) -> Sequence[DecidedRow]:
        self._needs_postgres()
        return self.taken

    def allowed(self) -> Sequence[AllowedInForce]:
        self._needs_postgres()
        return ALLOWED

    def decide(self, name: str, outcome: str, actor: str, reason: str) -> None:
        if reason == "my own":
            raise RefusedActionError(f"The traffic of payee ann is not for {actor} to decide on.")
        del self.details[name]
        self.taken.append(DecidedRow(name, outcome, actor, reason, NOW, is_expiry=False, version=None))

    def open_appeals(self) -> Sequence[TrafficAppealRow]:
        self._needs_postgres()
        return [each for each in reversed(self.filed) if each.state == "received"]

    def answer(self, appeal_id: str, text: str, actor: str) -> None:
        found = next((each for each in self.filed if each.appeal_id == appeal_id), None)
        if found is None:
            raise RefusedActionError(f"There is no appeal {appeal_id}.")
        self.filed[self.filed.index(found)] = replace(found, state="answered", answer=text)

    def under_review(self, payee_id: str) -> Sequence[ReviewedViews]:
        self._needs_postgres()
        return [ReviewedViews(date(2026, 11, 18), InvalidClass.UNNATURAL, 40)] if payee_id == "ann" else []

    def appeals(self, payee_id: str) -> Sequence[TrafficAppealRow]:
        self._needs_postgres()
        return [each for each in self.filed if each.payee_id == payee_id]

    def appeal(self, payee_id: str, day: date, invalid_class: InvalidClass, text: str, request: RequestKey) -> None:
        if self.keys.setdefault(request.key, request.inputs_hash) != request.inputs_hash:
            raise RefusedActionError("This form was sent before with another text; open the page again.")
        if request.key in {each.appeal_id for each in self.filed}:
            return
        if any((each.day, each.invalid_class, each.state) == (day, invalid_class, "received") for each in self.filed):
            raise RefusedActionError(f"The class {invalid_class.value} of {day} has an open appeal already.")
        row = TrafficAppealRow(request.key, payee_id, day, invalid_class, text, NOW, "received", "")
        self.filed.insert(0, row)
        for name, detail in self.details.items():
            if (detail.row.payee_id, detail.row.day, invalid_class) == (payee_id, day, InvalidClass.UNNATURAL):
                self.details[name] = replace(detail, appeals=(row,))

    def _needs_postgres(self) -> None:
        if Part.POSTGRES in self.away:
            raise UnavailableError(Part.POSTGRES, "gone")
