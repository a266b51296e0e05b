"""How events enter: the contract every layer shares, the HTTP collector, and the producer behind both."""
