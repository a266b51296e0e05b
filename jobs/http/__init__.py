"""Run an ASGI application in the foreground, and bound a client's use of resources."""
