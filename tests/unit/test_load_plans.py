"""The plans of bench/load make the same requests, whichever tool runs them."""

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

LOAD = Path(__file__).parents[2] / "bench" / "load"
PROJECT = ET.parse(LOAD / "pom.xml").getroot()  # noqa: S314  our own file
DEFAULTS = {each.tag.partition("}")[2]: each.text for each in PROJECT.iterfind("{*}properties/*")}


def test_jmeter_reads_a_known_video_four_times_as_often_as_an_unknown_one() -> None:
    plan = ET.parse(LOAD / "views.jmx").getroot()  # noqa: S314  our own file
    paths = [each.text or "" for each in plan.iterfind(".//*[@name='HTTPSampler.path']")]
    shares = [each.findtext("value") for each in plan.iter("FloatProperty")]
    assert [path.partition("}")[2] for path in paths] == [
        "/v1/videos/${__P(known,-JinobXWPk)}/views",
        "/v1/videos/nobody-${__Random(0,9999)}/views",
    ]
    assert shares == ["80.0", "20.0"]


@pytest.mark.parametrize("name", ["base", "known", "threads", "seconds"])
def test_jmeter_has_the_same_defaults_with_and_without_maven(name: str) -> None:
    defaults = set(re.findall(rf"__P\({name},([^)]*)\)", (LOAD / "views.jmx").read_text()))
    assert defaults == {DEFAULTS[name]}


@pytest.mark.parametrize("file", ["views.k6.js", "java/ViewsSimulation.java", "locustfile.py"])
def test_every_plan_reads_the_route_that_the_api_has(file: str) -> None:
    assert "/v1/videos/{id}/views" in (LOAD / file).read_text()
