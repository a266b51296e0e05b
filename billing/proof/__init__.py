"""The means to check the books: evidence for each line, the journal, signed checkpoints, and bundles of a period."""
