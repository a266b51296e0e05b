"""Answer what happened to one event, and which events a statement pays, with proofs. Knows only ports."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Protocol

from billing.books.states import POSTED
from billing.errors import EvidenceMismatchError
from billing.proof.paid_events import Paid, PaidLine, excluded_by_contract, paid_events, view_line
from billing.rating.view_chain import UNDECIDED
from billing.terms.contracts import Contract
from ingestion.contract.merkle import InclusionProof, InclusionProver
from ingestion.contract.periods import Period
from ingestion.contract.settled import BillableEvent, JudgedEvent

VIDEOS_READ = 500
"""The number of videos whose events are read together."""
PAID, PENDING, EXCLUDED, UNKNOWN = "paid", "pending", "excluded", "unknown"


class VersionEvents(Protocol):
    """The events of one batch version."""

    def billable(self, video_ids: Sequence[str], period: Period) -> Iterator[BillableEvent]:
        """Yield the billable events of some videos in the period, ascending by (video_id, event_id). Streams."""

    def copies_of(self, event_id: str) -> Sequence[JudgedEvent]:
        """Return every message with an id, the one that its verdict goes by first."""


@dataclass(frozen=True)
class StatementHead:
    """A statement, its versions and its state."""

    statement_id: str
    """32 hex digits."""
    payee_id: str
    period: Period
    batch_version: int
    """The version whose events it pays."""
    catalogue_version: int
    contract_version: int
    state: str


class ProofBooks(Protocol):
    """Reads from the books what questions about single events need."""

    def statement(self, statement_id: str) -> StatementHead | None:
        """Return a statement; None when there is none."""

    def statements_about(self, payee_ids: Sequence[str], day: date) -> Sequence[StatementHead]:
        """Return the newest statement of each payee whose period has the day."""

    def lines(self, statement_id: str, video_id: str | None = None) -> Sequence[PaidLine]:
        """Return a statement's lines, all or those of one video, in their order."""

    def owners(self, video_id: str, day: date) -> Sequence[str]:
        """Return who owns a video on a day."""

    def lengths(self, catalogue_version: int, video_ids: Sequence[str]) -> Mapping[str, int]:
        """Return the lengths of videos in seconds, where they are known."""

    def contract(self, contract_version: int, payee_id: str) -> Contract | None:
        """Return a payee's contract."""

    def late_decision(self, place: str) -> str | None:
        """Return what was decided about a late event, by its place in the log (`accepted`, `rejected`); None as yet."""


@dataclass(frozen=True)
class PartAnswer:
    """The result of an event for one payee."""

    payee_id: str
    status: str
    reason: str | None = None
    statement: StatementHead | None = None
    line: PaidLine | None = None
    proof: InclusionProof | None = None


@dataclass(frozen=True)
class EventAnswer:
    """The result of an event."""

    event_id: str
    status: str
    version: int
    reason: str | None = None
    copies: Sequence[JudgedEvent] = ()
    parts: Sequence[PartAnswer] = field(default_factory=tuple)


@dataclass(frozen=True)
class EventAnswers:
    """Answers from the books and the batch tables. `events_of` opens the events of a version by its number."""

    books: ProofBooks
    events_of: Callable[[int], VersionEvents]
    current_version: Callable[[], int | None]
    is_counted_since: Callable[[str], bool | None]
    """Whether an unsettled event id is counted provisionally; None if that is not known now."""

    def payment(self, event_id: str) -> EventAnswer:
        """Return what happened to an event, by the current version and the newest statements.

        Raises:
            EvidenceMismatchError: the events do not lead to the evidence root of the line that pays this one.
        """
        version = self.current_version()
        copies = self.events_of(version).copies_of(event_id) if version else ()
        if not copies or version is None:
            since = self.is_counted_since(event_id)
            if since:
                return EventAnswer(event_id, PENDING, version or 0, "not_settled")
            return EventAnswer(event_id, UNKNOWN, version or 0, None if since is not None else "speed_layer_away")
        first = copies[0]
        if first.outcome != "billable" or first.video_id is None:
            status, reason = self._why_unpaid(first)
            owners = self.books.owners(first.video_id, first.event_day) if first.video_id else ()
            parts = [PartAnswer(payee_id, status, reason) for payee_id in owners]
            return EventAnswer(event_id, status, version, reason, copies, parts)
        parts = self._parts(event_id, first, first.video_id)
        if not parts:
            return EventAnswer(event_id, EXCLUDED, version, "the video has no owner on that day", copies)
        statuses = [part.status for part in parts]
        status = next(each for each in (PAID, PENDING, EXCLUDED) if each in statuses)
        return EventAnswer(event_id, status, version, None, copies, parts)

    def _why_unpaid(self, first: JudgedEvent) -> tuple[str, str]:
        if first.verdict == "invalid_traffic":
            return EXCLUDED, first.outcome  # payees are told the class, not the rule
        if first.outcome in UNDECIDED:
            return PENDING, first.outcome
        if first.verdict != "late_review":
            return EXCLUDED, "; ".join(first.reasons) or first.outcome
        decision = self.books.late_decision(f"{first.partition}:{first.offset}")
        status = EXCLUDED if decision == "rejected" else PENDING
        return status, f"late_{decision}" if decision else first.outcome

    def statement_events(self, head: StatementHead, after: int) -> Iterator[tuple[int, Paid]]:
        """Yield (number, event) of everything a statement pays, from number after + 1 on.

        In the order of (video_id, event_id). Videos that end before the number are not read.
        """
        lines = self.books.lines(head.statement_id)
        contract = self.books.contract(head.contract_version, head.payee_id)
        if contract is None:
            return
        ends: dict[str, dict[object, int]] = {}
        for line in lines:
            group = ends.setdefault(line.key.video_id, {})
            group[line.key] = max(group.get(line.key, 0), line.event_end)
        number, chosen = 0, sorted(ends)
        while chosen and number + sum(ends[chosen[0]].values()) <= after:
            number += sum(ends[chosen.pop(0)].values())
        events = self.events_of(head.batch_version)
        for start in range(0, len(chosen), VIDEOS_READ):
            video_ids = chosen[start : start + VIDEOS_READ]
            lengths = self.books.lengths(head.catalogue_version, video_ids)
            found = paid_events(events.billable(video_ids, head.period), lines, contract, lengths)
            for paid in found:
                number += bool(paid.lines)
                if paid.lines and number > after:
                    yield number, paid

    def _parts(self, event_id: str, first: JudgedEvent, video_id: str) -> list[PartAnswer]:
        day = first.event_day
        payee_ids = self.books.owners(video_id, day)
        heads = {head.payee_id: head for head in self.books.statements_about(payee_ids, day)}
        return [self._part(event_id, first, video_id, payee_id, heads.get(payee_id)) for payee_id in payee_ids]

    def _part(
        self, event_id: str, first: JudgedEvent, video_id: str, payee_id: str, head: StatementHead | None
    ) -> PartAnswer:
        if head is None:
            return PartAnswer(payee_id, PENDING, "no statement covers its day yet")
        contract = self.books.contract(head.contract_version, payee_id)
        lines = self.books.lines(head.statement_id, video_id)
        lengths = self.books.lengths(head.catalogue_version, [video_id])
        if contract is None:
            return PartAnswer(payee_id, EXCLUDED, "no_contract", head)
        if reason := excluded_by_contract(first.event_day, first.view_duration or 0, contract, lengths.get(video_id)):
            return PartAnswer(payee_id, EXCLUDED, reason, head)
        events = self.events_of(head.batch_version).billable([video_id], head.period)
        found = _proven(paid_events(events, lines, contract, lengths), event_id)
        if found is None:
            return PartAnswer(payee_id, PENDING, "it was settled after the statement; a restatement would pay it", head)
        if head.state not in POSTED:
            return PartAnswer(payee_id, PENDING, f"its statement is {head.state}")
        line, proof, root = found
        if root.hex() != line.evidence_root:
            raise EvidenceMismatchError(
                f"the events of line {line.line_index} of statement {head.statement_id} do not lead to its root"
            )
        return PartAnswer(payee_id, PAID, None, head, line, proof)


def _proven(of_video: Iterable[Paid], event_id: str) -> tuple[PaidLine, InclusionProof, bytes] | None:
    """Return the line that pays an event, the event's proof and the root it leads to; None if no line pays it.

    One pass over the events of a video; memory holds O(log n) hashes for each of its lines.
    """
    leaf, own = event_id.encode("ascii"), None
    provers: defaultdict[int, InclusionProver] = defaultdict(lambda: InclusionProver(leaf))
    for paid in of_video:
        line = view_line(paid)
        if line is not None:
            provers[line.line_index].add(paid.event.event_id.encode("ascii"))
            if paid.event.event_id == event_id:
                own = line
    found = provers[own.line_index].proof() if own else None
    return (own, *found) if own and found else None
