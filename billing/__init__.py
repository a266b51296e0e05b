"""Rate settled billable views of a closed period and post what is owed to an append-only ledger.

It owns the agreements (`terms`), the rule that turns views into bills (`rating`), statements and the ledger (`books`),
the way to the bank (`payouts`) and the means to check all of it (`proof`); each imports only those before it. It
does not count views: it reads the counts of one published version through `billing.ports.SettledViews`, and never sees
a provisional number. It moves no money: it makes the bank's file and books the bank's answer.
"""
