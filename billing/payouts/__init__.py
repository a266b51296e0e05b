"""From balances to the bank's file, and from the bank's answers to the ledger."""
