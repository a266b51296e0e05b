"""What was published: versions, and what each changed by video and day."""
