"""From balances to the bank's file, and what the bank answered."""
