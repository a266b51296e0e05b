"""`./viewledger faults`: inject faults into real processes and compare them with a model that shares no code."""
