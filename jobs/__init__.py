"""Settings, wiring, one small file per process and command, the local stack."""
