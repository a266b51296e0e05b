"""The batch layer: archives the log, counts it exactly, lets the gate judge the result, publishes it as a version."""
