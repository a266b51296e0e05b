"""From the log to the archive: the reach of a run, and the untouched messages that it keeps."""
