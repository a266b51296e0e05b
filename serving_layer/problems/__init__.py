"""The API's problems."""
