"""The contract: what an event is, which events count, and how far a count reaches. Pure: no client, clock or socket."""
