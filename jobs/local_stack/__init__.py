"""The servers of the pipeline on 127.0.0.1 without containers, and the supervisor that keeps them running."""
