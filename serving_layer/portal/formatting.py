"""Format numbers, money, instants and states for pages. Pure."""

from datetime import UTC, datetime

MICROS = 1_000_000
DECIMALS_LEAST, DECIMALS_MOST = 2, 6
FIGURE_SPACE = "\u2007"
UNKNOWN = "\u2013"
MINUS = "\u2212"

GOOD, WARN, BAD, PLAIN = "good", "warn", "bad", "plain"
_TONES = {
    "approved": GOOD, "finalised": GOOD, "paid": GOOD, "published": GOOD, "released": GOOD, "complete": GOOD,
    "accepted": GOOD, "counted": GOOD, "in_review": WARN, "held": WARN, "running": WARN, "open": WARN,
    "calculated": WARN, "pending": WARN, "received": WARN, "incomplete": WARN, "repairing": WARN, "voided": BAD,
    "gate_failed": BAD, "failed": BAD, "rejected": BAD, "expired": BAD, "excluded": BAD, "behind": BAD,
    "ready": GOOD, "waits": WARN, "blocks": BAD, "unknown": WARN, "settled": GOOD, "instructed": WARN,
    "returned": BAD, "confirmed": BAD, "answered": GOOD, "written": WARN, "made": WARN, "finalised, due": GOOD,
    "finalised, in suspense": GOOD, "finalised, nothing due": GOOD, "well": GOOD, "warning": WARN, "fails": BAD,
}  # fmt: skip


def whole(number: int) -> str:
    """Return a whole number with separators: `1,234,567`."""
    return f"{number:,}"


def duration(seconds: float | None) -> str:
    """Return a time of watching as a clock shows it: `4:05`, `1,234:00:59`; a dash if it is not known."""
    if seconds is None:
        return UNKNOWN
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def money(amount_micros: int, currency: str) -> str:
    """Return an amount exactly, with two to six decimals: `1,234.50 USD`, `-0.000001 USD`."""
    sign = "-" if amount_micros < 0 else ""
    units, micros = divmod(abs(amount_micros), MICROS)
    decimals = f"{micros:06d}".rstrip("0").ljust(DECIMALS_LEAST, "0")
    return f"{sign}{units:,}.{decimals} {currency}"


def aligned_money(amount_micros: int, currency: str) -> str:
    """Return an amount for a column: as `money`, with a space of a digit's width for each decimal that is left out."""
    number, _, code = money(amount_micros, currency).rpartition(" ")
    missing = DECIMALS_MOST - len(number.partition(".")[2])
    return f"{number}{FIGURE_SPACE * missing} {code}"


def signed(number: int) -> str:
    """Return a difference of whole numbers with its sign: `+1,234`, `0`."""
    return _signed(number, whole(abs(number)))


def signed_money(amount_micros: int, currency: str) -> str:
    """Return a difference of amounts for a column, as `aligned_money`, with its sign."""
    return _signed(amount_micros, aligned_money(abs(amount_micros), currency))


def _signed(number: int, text: str) -> str:
    return f"{'+' if number > 0 else MINUS if number else ''}{text}"


def utc(instant: datetime) -> str:
    """Return an instant for people: `2026-11-25 02:21 UTC`."""
    return instant.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def machine(instant: datetime) -> str:
    """Return an instant for the datetime attribute: `2026-11-25T02:21:07Z`."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def percent(parts_per_million: int) -> str:
    """Return a share as percent, exactly: `100 %`, `33.3333 %`."""
    whole_part, rest = divmod(parts_per_million, 10_000)
    decimals = f"{rest:04d}".rstrip("0")
    return f"{whole_part}{'.' + decimals if decimals else ''} %"


def words(name: str) -> str:
    """Return a state or code as words: `in_review` → `in review`."""
    return name.replace("_", " ")


def tone(state: str) -> str:
    """Return the colour of a state; the word is always shown beside it."""
    return _TONES.get(state, PLAIN)
