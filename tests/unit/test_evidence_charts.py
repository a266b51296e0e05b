"""Charts of a group's evidence: each series adds up to the whole, and bars are as high as shares."""

import random

import pytest

from ingestion.contract.traffic_evidence import Aspect, EvidenceCount, GroupEvidence
from serving_layer.portal.evidence_charts import PLOT_HEIGHT, PPM, SHOWN_MAX, TOP, WIDTH, charts_of, totals_of
from tests.portal_traffic_fakes import EVIDENCE


def test_each_aspect_has_a_chart_in_its_own_order() -> None:
    charts = {each.title: each for each in charts_of(EVIDENCE)}
    assert [len(each.columns) for each in charts.values()] == [24, 2, 1, SHOWN_MAX + 1, 12, 11]
    hours = charts["When in the day"].columns
    assert (hours[3].label, hours[3].counts, hours[3].shares_ppm) == ("03", (40, 0, 100), (PPM, 0, PPM // 10))
    assert hours[20].counts == (0, 160, 900)
    assert [each.label for each in charts["Kinds of network"].columns] == ["data centre", "on no list"]
    assert [each.label for each in charts["Seconds watched"].columns][4:] == [
        "30–34", "35–44", "45–59", "60–119", "120–299", "300–599", "600–1799", "1,800+",
    ]  # fmt: skip
    assert [each.tick for each in charts["Seconds watched"].columns][4:6] == ["30", "35"]
    assert [each.label for each in charts["Where in the video they ended"].columns][-2:] == ["90 %", "end"]
    assert totals_of(EVIDENCE) == (40, 160, 1_000)


def test_the_highest_share_fills_the_plot_and_a_share_of_half_of_it_half_of_the_plot() -> None:
    counts = (EvidenceCount("DE", 3, 0, 1), EvidenceCount("FR", 1, 4, 1))
    (chart,) = charts_of(GroupEvidence({Aspect.COUNTRY: counts}, ()))
    heights = [[bar.height for bar in column.bars] for column in chart.columns]
    assert heights == [[82.5, 0.0, 55.0], [27.5, 110.0, 55.0]]
    assert {bar.y + bar.height for column in chart.columns for bar in column.bars} == {TOP + PLOT_HEIGHT}


@pytest.mark.parametrize("seed", range(30))
def test_no_event_is_lost_and_no_bar_leaves_the_plot(seed: int) -> None:
    rng = random.Random(seed)
    values = rng.sample([f"{first}{second}" for first in "ABCDEF" for second in "ABCDEF"], rng.randint(1, 36))
    counts = tuple(EvidenceCount(each, *(rng.choice((0, rng.randint(0, 10**6))) for _ in range(3))) for each in values)
    (chart,) = charts_of(GroupEvidence({Aspect.COUNTRY: counts}, ()))
    for series in range(3):
        assert sum(each.counts[series] for each in chart.columns) == sum(each[series + 1] for each in counts)
        assert sum(each.shares_ppm[series] for each in chart.columns) <= PPM
    for bar in (bar for column in chart.columns for bar in column.bars):
        assert 0 <= bar.x <= bar.x + bar.width <= WIDTH + 0.1
        assert TOP - 0.1 <= bar.y <= bar.y + bar.height <= TOP + PLOT_HEIGHT + 0.1


def test_evidence_survives_its_kept_form() -> None:
    assert GroupEvidence.from_json(EVIDENCE.to_json()) == EVIDENCE
