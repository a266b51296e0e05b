"""Exact money. Amounts are integer micro-units; below that, integer nano-micros (1e-9 of one), carried, never lost.

A rate is micros per 1,000 views and a share is parts per million, so rate × views × share is a whole number of
nano-micros: no division is needed to know exactly what is owed, and the one division of a line (`settle_line`) keeps
its remainder.
"""

NANOMICROS = 1_000_000_000
"""Nano-micros of one micro-unit."""
MICROS = 1_000_000
SHARE_WHOLE_PPM = 1_000_000


def settle_line(owed_nanomicros: int, carried_before: int) -> tuple[int, int]:
    """Return (amount in micros, nano-micros carried on): rounded down once, the remainder kept.

    amount × 10^9 + carried on = owed + carried before, exactly; the carry stays within 0..999,999,999.
    """
    return divmod(owed_nanomicros + carried_before, NANOMICROS)


def withheld(amount_micros: int, tax_ppm: int) -> int:
    """Return the tax on an amount, rounded down to a whole micro-unit."""
    return amount_micros * tax_ppm // SHARE_WHOLE_PPM


def amount_text(amount_micros: int, currency: str) -> str:
    """Return an amount with all six decimals, e.g. `1,234.500000 USD`."""
    sign = "-" if amount_micros < 0 else ""
    whole, micros = divmod(abs(amount_micros), MICROS)
    return f"{sign}{whole:,}.{micros:06d} {currency}"
