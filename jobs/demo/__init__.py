"""The demo: one small day of real-shaped traffic through the whole pipeline, every number beside its known truth."""
