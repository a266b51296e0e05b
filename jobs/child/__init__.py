"""Start processes that cannot outlive their parent."""
