"""From the log to the archive: how far a run goes, and the untouched messages it keeps."""
