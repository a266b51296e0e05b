"""Installs what the project needs. Standard library only."""
