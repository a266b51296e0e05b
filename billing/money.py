"""Exact money. Amounts are integer micro-units; below that, integer thousandths of a micro-unit, carried, never lost.

A rate is micros per 1,000 views, so rate × views is a whole number of thousandths of a micro: no division is needed
to know exactly what is owed, and the one division there is (`settle_line`) keeps its remainder.
"""

THOUSANDTHS = 1000
MICROS = 1_000_000


def settle_line(owed_thousandths: int, carried_before: int) -> tuple[int, int]:
    """Return (amount in micros, thousandths carried on): rounded down once, the remainder kept.

    amount × 1000 + carried on = owed + carried before, exactly; the carry stays within 0..999.
    """
    return divmod(owed_thousandths + carried_before, THOUSANDTHS)


def amount_text(amount_micros: int, currency: str) -> str:
    """Return an amount with all six decimals, e.g. `1,234.500000 USD`."""
    sign = "-" if amount_micros < 0 else ""
    whole, micros = divmod(abs(amount_micros), MICROS)
    return f"{sign}{whole:,}.{micros:06d} {currency}"
