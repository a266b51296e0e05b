"""How anybody can check it: evidence for each line, the journal, signed checkpoints, and bundles of a period."""
