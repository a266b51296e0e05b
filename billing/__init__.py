"""Billing: rates settled billable views of a closed period and posts what is owed to an append-only ledger.

It owns the catalogue (whose video it is), the rate cards, the rating rule, the evidence and the ledger. It does not
count views: it reads the counts of one published version through `billing.ports.SettledViews`, and never sees a
provisional number. It does not pay out: it states what is payable.
"""
