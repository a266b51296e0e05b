"""Archive the log, count it exactly, check the result with the gate, and publish it as a version."""
