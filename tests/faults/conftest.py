"""How long Hypothesis searches: shortly in every run of the tests, for minutes with `--hypothesis-profile soak`."""

from hypothesis import HealthCheck, settings

TWIN = settings(
    max_examples=400,
    stateful_step_count=30,
    derandomize=True,
    deadline=None,
    database=None,
    print_blob=False,
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)
settings.register_profile("twin", TWIN)
settings.register_profile("soak", TWIN, max_examples=4_000, stateful_step_count=50, derandomize=False)
