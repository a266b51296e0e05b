"""Published versions for billing: settled views and single events."""
