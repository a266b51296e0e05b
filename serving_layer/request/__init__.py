"""The parameters of a request, checked."""
