"""How the API says that something is wrong."""
