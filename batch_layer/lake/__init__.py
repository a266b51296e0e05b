"""The tables as such, and Spark itself: every other room reads and writes through this one."""
