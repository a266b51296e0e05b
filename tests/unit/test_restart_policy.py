"""When the local stack starts again what died."""

from jobs.local_stack.child import RUNNING_POLICY, STARTING_POLICY


def test_a_child_that_ran_is_restarted_without_limit_with_bounded_waits() -> None:
    delays = [RUNNING_POLICY.delay_seconds(deaths) for deaths in range(1, 100)]
    assert delays[:3] == [0.2, 0.4, 0.8]
    assert delays[10:] == [20.0] * 89


def test_what_never_came_up_is_given_up_after_three_deaths() -> None:
    assert [STARTING_POLICY.delay_seconds(deaths) for deaths in (1, 2, 3)] == [0.2, 0.4, None]
