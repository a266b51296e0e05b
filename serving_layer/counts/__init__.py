"""View counts: settled and provisional, merged."""
