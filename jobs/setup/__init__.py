"""Install everything the project needs. Standard library only."""
