"""Describe the result of an event in words. Pure."""

from serving_layer.money.proofs import EventPart, EventPayment, PaymentStatus

_REASONS = {
    "duplicate": "received before",
    "conflict": "received before under the same id with other content; the first one counts",
    "rejected": "against the contract of events",
    "late_review": "more than 35 days old at the receipt; a person decides",
    "late_accepted": "too late, accepted by a person, and counted by the next batch run",
    "late_rejected": "too late, and left out by a person",
    "invalid_traffic": "made by no viewer",
    "not_eligible": "not eligible for revenue",
    "unattested": "sent without a play, and only views with a play are paid",
    "below_minimum": "shorter than the minimum",
    "own_view": "viewed by the payee of the video",
    "over_cap": "beyond the views of the video that are paid for one viewer in 24 hours",
    "under_review": "kept back until a person decides whether viewers were behind the traffic",
    "traffic_pending": "received after the traffic of the day was checked; the day is checked again",
    "no_payee": "without an owner of the video on that day",
}
"""Reason → its text for people, of one event or of many; an unknown reason is shown as it is."""


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
    """Return a reason in words, with its code in brackets."""
    if reason is None:
        return "no reason is on record"
    _, _, code = reason.partition(":")
    return f"{kind_text(reason)} ({code.replace('_', ' ')})" if code else kind_text(reason)


def kind_text(reason: str) -> str:
    """Return the kind of a reason in words, of one event or of many."""
    kind, _, _ = reason.partition(":")
    return _REASONS.get(kind, kind.replace("_", " "))


def part_sentence(part: EventPart) -> str:
    """Return one sentence about the event's result for one payee."""
    if part.status is PaymentStatus.PAID and part.line_index is not None:
        return f"Paid in line {part.line_index + 1} of the statement for {part.period}."
    if part.status is PaymentStatus.EXCLUDED:
        return f"Not paid: {reason_text(part.reason)}."
    return "Not on a final statement yet."
