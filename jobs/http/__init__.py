"""Runs an ASGI application in the foreground, and bounds what a client may cost it."""
