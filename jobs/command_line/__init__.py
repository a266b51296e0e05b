"""The words of the command line: what each command is called, takes and says. The work is in `jobs.commands`."""
