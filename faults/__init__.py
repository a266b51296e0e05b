"""`./viewledger faults`: real processes, hurt on purpose, compared with a model that shares no code with them."""
