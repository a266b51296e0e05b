"""The declarations of the command line: each command's name, flags and help. The work is in `jobs.commands`."""
