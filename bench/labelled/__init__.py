"""Labelled traffic of made-up honest people and attackers, to measure the day rules of invalid traffic."""
