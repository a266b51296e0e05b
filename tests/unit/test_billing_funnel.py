"""The stages of a month's events: each is the one before less what is named."""

import itertools
import random

from billing.books.funnel import event_stages

VERDICTS = ("counted", "duplicate", "conflict", "rejected", "late_review", "invalid_traffic")


def test_each_stage_is_the_one_before_less_what_is_named() -> None:
    rng = random.Random(76)
    for _ in range(200):
        tally = {verdict: rng.randrange(1_000) for verdict in VERDICTS if rng.random() < 0.8}
        billable = rng.randint(0, tally.get("counted", 0))
        stages = event_stages(tally, billable)
        assert stages[0].events == sum(tally.values())
        assert (stages[3].events, stages[-1].events) == (tally.get("counted", 0), billable)
        for before, stage in itertools.pairwise(stages):
            assert stage.events == before.events - sum(stage.without.values())
        taken = {outcome: count for stage in stages for outcome, count in stage.without.items() if count}
        assert taken.keys() <= {*VERDICTS, "not_billable"}
