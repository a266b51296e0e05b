"""The processes that containers run."""
