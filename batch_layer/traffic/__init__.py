"""The day rules of invalid traffic: what no honest viewer does, seen over a day and the day before."""
