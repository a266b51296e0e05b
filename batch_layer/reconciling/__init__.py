"""Compare what must be there with what is found, and name the differences."""
