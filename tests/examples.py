"""Hypothesis as the tests use it: an example may take as long as a busy machine needs."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

__all__ = ["SHARING_A_FIXTURE", "given", "settings", "st"]

settings.register_profile("tests", deadline=None, suppress_health_check=[HealthCheck.too_slow])
if settings.get_current_profile_name() == "default":  # else one was asked for
    settings.load_profile("tests")

SHARING_A_FIXTURE = settings(
    max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
"""For examples that share what a fixture of their test made, such as its folder."""
