"""Describe the result of an event in words. Pure."""

from serving_layer.money.proofs import EventPart, EventPayment, PaymentStatus

_REASONS = {
    "duplicate": "it repeats an event that was received before",
    "conflict": "an event with the same id and other content was received before, and the first one stays",
    "rejected": "it breaks the contract of events",
    "late_review": "it happened more than 35 days before it was received; a person decides",
    "late_accepted": "it came too late, was accepted by a person, and is counted by the next batch run",
    "late_rejected": "it came too late, and a person decided not to count it",
    "invalid_traffic": "no viewer made it",
    "not_eligible": "it is not eligible for revenue",
    "unattested": "it came without a play, and only views with a play are paid",
    "below_minimum": "it was shorter than the minimum",
    "own_view": "the viewer is the payee of the video",
    "over_cap": "the viewer has as many paid views of the video in 24 hours as are paid",
    "under_review": "a person decides whether viewers made it",
    "traffic_pending": "it came after the traffic of its day was checked, and the day is checked again",
    "no_payee": "the video had no owner on that day",
}
"""Reason → its text for people; an unknown reason is shown as it is."""


def sentence_of(payment: EventPayment) -> str:
    """Return one sentence about the whole event."""
    if payment.status is PaymentStatus.PAID:
        return "It is paid; the line below pays it."
    if payment.reason == "not_settled":
        return "It was received and is counted provisionally; the next batch run settles it."
    if payment.status is PaymentStatus.PENDING:
        return "It is counted or waits for a decision, and no final statement covers it yet."
    if payment.status is PaymentStatus.EXCLUDED:
        return f"It is not paid: {reason_text(payment.reason)}."
    if payment.reason == "speed_layer_away":
        return "No event with this id is settled; whether one was received since is not known now."
    return "No event with this id is settled, and none is counted since: most likely it was never received."


def reason_text(reason: str | None) -> str:
    """Return a reason in words."""
    if reason is None:
        return "no reason is on record"
    kind, _, code = reason.partition(":")
    text = _REASONS.get(kind, kind.replace("_", " "))
    return f"{text} ({code.replace('_', ' ')})" if code else text


def part_sentence(part: EventPart) -> str:
    """Return one sentence about the event's result for one payee."""
    if part.status is PaymentStatus.PAID and part.line_index is not None:
        return f"Paid in line {part.line_index + 1} of the statement for {part.period}."
    if part.status is PaymentStatus.EXCLUDED:
        return f"Not paid: {reason_text(part.reason)}."
    return "Not on a final statement yet."
