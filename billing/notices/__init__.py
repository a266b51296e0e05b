"""Notices to payees: what they are told of their money, in which words, and how it is sent."""
