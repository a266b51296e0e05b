"""The currencies of ISO 4217 that money can be paid in."""

import pycountry

_METALS_BASKETS_TESTS = "XAD XAG XAU XBA XBB XBC XBD XDR XPD XPT XSU XTS XUA XXX"
_UNITS_AND_FUNDS = "BOV CHE CHW CLF COU MXV USN UYI UYW"
"""Units of account in which nobody is paid."""
_WITHDRAWN = "BGN"
"""No new money is owed in them; older balances can be held and paid."""

CURRENCIES = (
    frozenset(each.alpha_3 for each in pycountry.currencies)
    .difference(_METALS_BASKETS_TESTS.split(), _UNITS_AND_FUNDS.split())
    .union(_WITHDRAWN.split())
)
