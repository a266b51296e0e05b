"""Check a run's branch before anything of it is published."""
