"""A payee's objection to what is not counted of a day and class, and the answer to it. Pure."""

from dataclasses import dataclass
from datetime import date, datetime

from ingestion.contract.day_traffic import TrafficOutcome
from ingestion.contract.traffic_groups import TrafficDecision
from ingestion.contract.traffic_reasons import InvalidClass

_SENTENCES = {
    TrafficOutcome.RELEASED: "count and will be paid where they are billable",
    TrafficOutcome.CONFIRMED: "were found invalid; they are in no count and are not paid",
}


@dataclass(frozen=True)
class TrafficAppeal:
    """An appeal; the last four fields are None until it is answered."""

    appeal_id: str
    payee_id: str
    day: date
    invalid_class: InvalidClass
    objection: str
    actor: str
    received_at: datetime
    outcome: TrafficOutcome | None
    """What was decided on a group of the day and class; None: nothing, or a text answers."""
    answer: str | None
    answered_by: str | None
    answered_at: datetime | None

    @property
    def state(self) -> str:
        """Return `received`, `answered`, or what was decided: `released` or `confirmed`."""
        if self.answer is None:
            return "received"
        return "answered" if self.outcome is None else self.outcome.value


def answer_by(decision: TrafficDecision) -> str:
    """Return what a payee reads of a decision: nothing of the rule, and nothing of who decided."""
    count = decision.group.event_count
    events = f"{count:,} view{'' if count == 1 else 's'} of {decision.group.day}"
    return f"A person looked at them: {events} {_SENTENCES[decision.outcome]}."
