"""The contract: what an event is, what counts, how far a count goes. Pure: no client, no clock, no socket."""
