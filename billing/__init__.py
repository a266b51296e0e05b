"""Billing: rates settled billable views of a closed period and posts what is owed to an append-only ledger.

It owns what is agreed (`terms`), the rule that makes bills of views (`rating`), statements and the ledger (`books`),
the way to the bank (`payouts`) and what lets others check it (`proof`); each of these knows only those before it. It
does not count views: it reads the counts of one published version through `billing.ports.SettledViews`, and never sees
a provisional number. It moves no money: it makes the bank's file and books the bank's answer.
"""
