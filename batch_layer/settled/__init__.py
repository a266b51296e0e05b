"""Published versions as billing reads them: settled views and single events."""
