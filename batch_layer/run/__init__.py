"""The steps of a batch run and of a rebuild."""
