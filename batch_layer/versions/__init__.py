"""Published versions, and their changes by video and day."""
