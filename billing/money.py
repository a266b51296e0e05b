"""Exact money. Amounts are integer micro-units; below that, integer nano-micros (1e-9 of one), carried, never lost.

A rate is micros per 1,000 views and a share is parts per million, so rate × views × share is a whole number of
nano-micros: no division is needed to know exactly what is owed, and the one division of a line (`settle_line`) keeps
its remainder.
"""

import re

NANOMICROS = 1_000_000_000
"""Nano-micros of one micro-unit."""
MICROS = 1_000_000
SHARE_WHOLE_PPM = 1_000_000

_WITHOUT_MINOR_UNIT = frozenset(
    {"BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF"}
)
_THOUSAND_MINOR_UNITS = frozenset({"BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"})


def settle_line(owed_nanomicros: int, carried_before: int) -> tuple[int, int]:
    """Return (amount in micros, nano-micros carried): rounded down once, the remainder kept.

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


def decimals_of(currency: str) -> int:
    """Return the number of decimals of a bank's amounts in a currency (ISO 4217): 2 for EUR, 0 for JPY, 3 for KWD."""
    if currency in _WITHOUT_MINOR_UNIT:
        return 0
    return 3 if currency in _THOUSAND_MINOR_UNITS else 2


def minor_unit_micros(currency: str) -> int:
    """Return the smallest amount that a bank pays: a cent, a yen, a fils."""
    return MICROS // int(10 ** decimals_of(currency))


def decimal_text(amount_micros: int, currency: str) -> str:
    """Return an amount as banks write it, with the decimals that its currency has, e.g. `1234.50`."""
    digits = decimals_of(currency)
    whole, rest = divmod(amount_micros // minor_unit_micros(currency), 10**digits)
    return f"{whole}.{rest:0{digits}}" if digits else str(whole)


def written_amount(text: str, currency: str) -> int:
    """Parse an amount that a person wrote, in micros: the only parser for amounts in flags and CSV files.

    Raises:
        ValueError: it is not a plain amount above 0 in this currency; the message says what is allowed.
    """
    digits = decimals_of(currency)
    fraction = rf"(\.[0-9]{{1,{digits}}})?" if digits else ""
    if re.fullmatch(r"[0-9]{1,12}" + fraction, text) is None or not text.strip("0."):
        like = decimal_text(1_234_500_000, currency)
        decimals = f"with at most {digits} decimals after a point" if digits else "without decimals"
        raise ValueError(f"{text[:40]!r} is not an amount in {currency}; write digits {decimals}, above 0, like {like}")
    whole, _, rest = text.partition(".")
    return int(whole) * MICROS + int(rest.ljust(6, "0"))
