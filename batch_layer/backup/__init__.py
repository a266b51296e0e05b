"""The files of the batch tables, for backups: which ones are needed, and how they are copied out and in."""
