"""Puts the layers together: each port gets the part that answers it."""
